"""Runs of any size, written record by record: what tests and measurements of the audit read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from orchestrator.config import parse
from orchestrator.loop.fakes import fake_entry, program
from orchestrator.progress import Guessing
from orchestrator.records import (
    Candidate,
    Claimed,
    Completion,
    CompletionMeasured,
    Decision,
    Entry,
    Measured,
    Message,
    Neighbour,
    Novelty,
    Program,
    Refusal,
    Verdict,
    canonical,
    digest,
)
from orchestrator.run import CycleFolder, RunFolder, statistics
from orchestrator.run.functional_duplicates import counted

DATA: dict[str, Any] = {
    "name": "recorded",
    "cycles": 1,
    "protocol": {"dataset": "fashion-mnist"},
    "prompt": {"task": "fashion-mnist"},
    "llm": {"model": {"source": "fake"}},
    "admission": {"threshold": 0.5},
}
LIMITS: dict[str, int | float | str] = {"memory": 4 << 30, "pids": 256, "cpus": 1.0, "network": "none"}
ENVIRONMENT = canonical({"image": "sha256:0", "runtime": "runc"})
LOG = b"Traceback \x1b[31mred\x1b[0m\n"
WORDS = 80


def recorded(path: Path, *, cycles: int = 1, candidates: int = 12, log: bytes = LOG) -> RunFolder:
    """Write a whole run whose candidates end, in turn, in every kind of state; failed ones share one `log`."""
    run = RunFolder.create(path, parse(DATA | {"cycles": cycles}, origin="test"))
    protocol = run.config.protocol.hash()
    run.store.put(ENVIRONMENT)
    seeds = [fake_entry(index, run.store, protocol=protocol) for index in range(3)]
    run.corpus.extend([seeds[0].model_copy(update={"fingerprint": digest(b"graph 5")}), *seeds[1:]])
    run.corpus.finish()
    for number in range(1, cycles + 1):
        folder = run.cycle(number)
        folder.path.mkdir()
        _write(run, folder, candidates, log)
    run.record("finished", {"cycles": cycles})
    return run


def _write(run: RunFolder, folder: CycleFolder, count: int, log: bytes) -> None:
    parts = [_one(run, folder.number, index, log) for index in range(count)]
    folder.completions.extend([completion for completion, _, _, _ in parts])
    folder.candidates.extend([candidate for _, candidate, _, _ in parts])
    folder.verdicts.extend([verdict for _, _, verdict, _ in parts])
    novelty = _counted([record for _, _, _, record in parts if record is not None])
    folder.novelty.extend(novelty)
    admitted = [part for part in parts if part[3] is not None and part[3].decision == "admitted"]
    folder.entries.extend([_entry(run, *part) for part in admitted])
    summary = statistics.of_cycle(
        folder,
        run.config,
        corpus=(len(run.corpus.read()), len(run.corpus_before(folder.number))),
        guessing=Guessing(0.1, 0.1),
        functional=counted(run, folder.number),
    )
    folder.summary.append(summary)
    for ledger in (folder.completions, folder.candidates, folder.verdicts, folder.novelty, folder.entries):
        ledger.finish()
    folder.summary.finish()


def completed(name: str, *, index: int, cycle: int = 1, text: str = "", tokens: int = 0) -> Completion:
    """What the model wrote for one candidate."""
    return Completion(
        candidate_id=name,
        cycle=cycle,
        index=index,
        chunk=index // 16,
        seed=index,
        text=text,
        tokens=tokens,
        finish="eos",
        measured=CompletionMeasured(seconds=1.0),
    )


def _one(run: RunFolder, cycle: int, index: int, log: bytes) -> tuple[Completion, Candidate, Verdict, Novelty | None]:
    name, kind = f"c{cycle:03d}-{index:04d}", index % 6
    text = "nothing to run" if kind == 0 else program(outcome="passed 0.5", body=cycle * 10_000 + index, words=WORDS)
    completion = completed(name, cycle=cycle, index=index, text=f"```python\n{text}```\n", tokens=len(text.split()))
    candidate = _candidate(run, name, text, kind)
    accuracy = (7 * index % 100) / 100
    verdict = _verdict(run, name, kind, accuracy, log)
    if verdict.state != "passed":
        return completion, candidate, verdict, None
    decision: Decision = "below_threshold" if accuracy <= 0.5 else ("duplicate" if kind == 5 else "admitted")
    near = Neighbour(entry_id="seed-0000", estimate=0.25, exact=0.2)
    alike = 0.95 if kind == 5 else 0.5
    own = Neighbour(entry_id=f"c{cycle:03d}-0003", estimate=alike, exact=alike - 0.05) if index > 3 else None
    novelty = Novelty(candidate_id=name, accuracy=accuracy, train=near, generation=own, decision=decision)
    return completion, candidate, verdict, novelty


def _counted(novelty: list[Novelty]) -> list[Novelty]:
    """The same decisions, each admission with the duplicates that were met before it."""
    counted, met = [], 0
    for record in novelty:
        met += record.decision == "duplicate"
        rejected = met if record.decision == "admitted" else None
        counted.append(record.model_copy(update={"rejection_count": rejected}))
        met = 0 if record.decision == "admitted" else met
    return counted


def _candidate(run: RunFolder, name: str, text: str, kind: int) -> Candidate:
    if kind == 0:
        return Candidate(
            candidate_id=name, source=None, refusal=Refusal(state="no_code", stage="extract", cause="no code block")
        )
    source = run.store.put(text.encode())
    if kind == 1:
        refusal = Refusal(state="syntax_error", stage="parse", cause="line 3: invalid syntax")
        return Candidate(candidate_id=name, source=source, refusal=refusal)
    return Candidate(
        candidate_id=name,
        source=source,
        program=Program(
            runs=run.store.put(text.encode() + b"# completed\n"),
            completed=("train_setup", "learn"),
            imports=("torch",),
            hyperparameters=("lr", "momentum"),
            tokens=len(text.split()),
            shingles=run.store.put(b"\0" * 8),
        ),
    )


def _verdict(run: RunFolder, name: str, kind: int, accuracy: float, log: bytes) -> Verdict:
    states = ("no_code", "syntax_error", "failed", "passed", "timeout", "passed")
    stages = ("extract", "parse", "forward", "predict", "train", "predict")
    causes = ("no code block", "line 3: invalid syntax", "ValueError: shapes", None, "train took too long", None)
    passed, ran = states[kind] == "passed", kind > 1
    measured = Measured(
        seconds={"import": 0.1, "train": float(kind * 10), "predict": 1.0} if ran else {},
        stage_cpu_seconds={"train": kind * 9.5} if ran else {},
        peak_memory=1 << 29 if ran else None,
        cpu_seconds=kind * 11.0 if ran else None,
        container_id="f" * 64 if ran else None,
        exit_code=0 if ran else None,
        log_bytes=len(log) if ran else 0,
        stdout=run.store.put(b"epoch 1\n") if passed else None,
        stderr=run.store.put(log + name.encode()) if ran and not passed else None,
        limits=LIMITS if ran else {},
    )
    return Verdict(
        candidate_id=name,
        state=states[kind],  # type: ignore[arg-type] # the words above are the vocabulary's
        stage=stages[kind],  # type: ignore[arg-type] # the same
        cause=causes[kind],
        accuracy=accuracy if passed else None,
        predictions=run.store.put(b"\1\0" * 4) if passed else None,
        protocol=run.config.protocol.hash(),
        environment=digest(ENVIRONMENT),
        claimed=_claimed(kind) if passed else Claimed(),
        measured=measured,
    )


def _claimed(kind: int) -> Claimed:
    graph = digest(f"graph {kind}".encode())
    return Claimed(parameters=123_456, fingerprint=graph, layers=7, operations=9, batches=64, samples=4096, passes=1)


def _entry(
    run: RunFolder, completion: Completion, candidate: Candidate, verdict: Verdict, novelty: Novelty | None
) -> Entry:
    assert candidate.source is not None
    assert candidate.program is not None
    return Entry(
        entry_id=completion.candidate_id,
        origin=f"cycle:{completion.cycle}",
        task="fashion-mnist",
        source=candidate.source,
        shingles=candidate.program.shingles,
        accuracy=verdict.accuracy,
        protocol=verdict.protocol,
        messages=(Message(role="user", content="Design."), Message(role="assistant", content=completion.text)),
    )


if __name__ == "__main__":
    recorded(Path(sys.argv[1]), cycles=20, candidates=100)
