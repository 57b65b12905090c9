"""Deterministic stand-ins for the language model, the sandbox and the trainer, for tests and for trying the loop."""

from __future__ import annotations

import hashlib
import random
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.errors import InfrastructureError
from orchestrator.evaluation import Submission
from orchestrator.evaluation.dossier import Dossier
from orchestrator.loop.cycle import Parts
from orchestrator.records import (
    Adapter,
    AdapterMeasured,
    Candidate,
    Claimed,
    Digest,
    Entry,
    Evaluation,
    FailedState,
    GenerationChunk,
    Measured,
    Message,
    Program,
    Refusal,
    Sampled,
    Stage,
    Verdict,
    canonical,
    digest,
)
from orchestrator.run import RunFolder, Store

SURROUNDINGS = b'{"fake":"environment"}'
ENVIRONMENT = digest(SURROUNDINGS)
LABELS = 1000  # validation labels, all of class 0
SHINGLE = 10
OUTCOME = re.compile(rb"^outcome = '(?P<state>\w+) (?P<detail>[\w.]+)'$", re.MULTILINE)


def program(*, outcome: str, body: int, words: int = 200) -> str:
    """Return the text of a program that `FakeEvaluator` ends in `outcome`, as `state stage` or `passed accuracy`.

    Programs with the same `body` are near-duplicates of each other; with different ones they share nothing.
    """
    source = _random(f"body {body}")
    lines = [f"layer_{index} = {source.randrange(10**9)}" for index in range(words)]
    return "\n".join(["import torch", f"outcome = '{outcome}'", *lines, ""])


class FakeGenerator:
    """Writes programs that depend on nothing but the chunk's seed; breaks after `breaks_after` completions if told."""

    def __init__(self, *, bodies: int = 1000, breaks_after: int | None = None) -> None:
        self._bodies = bodies
        self._breaks_after = breaks_after
        self.sampled = 0
        self.adapters: list[Path | None] = []

    def generate(
        self, *, adapter: Path | None, messages: Sequence[Message], chunks: Sequence[GenerationChunk]
    ) -> Iterator[Sampled]:
        """Yield the rows of each chunk in a scrambled order."""
        del messages
        self.adapters.append(adapter)
        for chunk in chunks:
            texts = [self._text(_random(f"{chunk.seed} {row}")) for row in range(chunk.size)]
            for row in _random(f"{chunk.seed}").sample(range(chunk.size), chunk.size):
                if self.sampled == self._breaks_after:
                    raise InfrastructureError("the fake generator breaks here")
                self.sampled += 1
                text = texts[row]
                yield Sampled(
                    chunk=chunk.index, row=row, text=text, tokens=len(text.split()), finish="eos", seconds=1.0
                )

    def _text(self, source: random.Random) -> str:
        match source.randrange(10):
            case 0:
                return "I would rather talk about the weather."
            case 1:
                outcome = "failed forward"
            case 2:
                outcome = "syntax_error parse"
            case _:
                outcome = f"passed {source.random():.3f}"
        return f"Here it is:\n```python\n{program(outcome=outcome, body=source.randrange(self._bodies))}```\n"


class FakeEvaluator:
    """Reads the verdict out of the program's own text; breaks after `breaks_after` evaluations if told."""

    def __init__(self, *, protocol: str, breaks_after: int | None = None) -> None:
        self._protocol = protocol
        self._breaks_after = breaks_after
        self.evaluated: list[str] = []

    def __enter__(self) -> Self:
        """Be ready to evaluate."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Hold nothing."""

    def evaluate(self, submissions: Iterable[Submission]) -> Iterator[Evaluation]:
        """Yield one evaluation for each submission."""
        for submission in submissions:
            if len(self.evaluated) == self._breaks_after:
                raise InfrastructureError("the fake evaluator breaks here")
            self.evaluated.append(submission.candidate_id)
            yield self._one(Dossier(submission.candidate_id), submission.source)

    def _one(self, dossier: Dossier, source: bytes | None) -> Evaluation:
        name = dossier.candidate_id
        dossier.put(SURROUNDINGS)
        if source is None:
            return self._refused(dossier, None, Refusal(state="no_code", stage="extract", cause="no code block"))
        stored, found = dossier.put(source), OUTCOME.search(source)
        state, detail = ("passed", "0.5") if found is None else (found["state"].decode(), found["detail"].decode())
        if state == "syntax_error":
            return self._refused(dossier, stored, Refusal(state="syntax_error", stage="parse", cause="told to"))
        candidate = Candidate(candidate_id=name, source=stored, program=_program(source, dossier))
        if state == "quarantined":
            return dossier.closed(candidate, self._failed(dossier, "quarantined", "import"))
        if state != "passed":
            return dossier.closed(candidate, self._failed(dossier, "failed", "forward"))
        verdict = Verdict(
            candidate_id=name,
            state="passed",
            stage="predict",
            cause=None,
            accuracy=float(detail),
            predictions=dossier.put(fake_predictions(float(detail))),
            protocol=self._protocol,
            environment=ENVIRONMENT,
            claimed=Claimed(parameters=1000, batches=4, samples=256),
            measured=Measured(seconds={"train": 2.0, "predict": 1.0}, container_id="fake"),
        )
        return dossier.closed(candidate, verdict)

    def _refused(self, dossier: Dossier, source: Digest | None, refusal: Refusal) -> Evaluation:
        candidate = Candidate(candidate_id=dossier.candidate_id, source=source, refusal=refusal)
        return dossier.closed(candidate, self._failed(dossier, refusal.state, refusal.stage))

    def _failed(self, dossier: Dossier, state: FailedState, stage: Stage) -> Verdict:
        return Verdict(
            candidate_id=dossier.candidate_id,
            state=state,
            stage=stage,
            cause="told to",
            accuracy=None,
            predictions=None,
            protocol=self._protocol,
            environment=ENVIRONMENT,
            claimed=Claimed(),
            measured=Measured(stderr=dossier.put(b"Traceback \x1b[31mred\x1b[0m\n")),
        )


def _program(source: bytes, dossier: Dossier) -> Program:
    return Program(
        runs=digest(source),
        completed=(),
        imports=("torch",),
        hyperparameters=("lr", "momentum"),
        tokens=len(source.split()),
        shingles=dossier.put(fake_shingles(source)),
    )


class FakeTrainer:
    """Writes an adapter folder that names the entries it saw; breaks at once if told."""

    def __init__(self, *, breaks: bool = False) -> None:
        self._breaks = breaks
        self.trained: list[tuple[int, Path | None]] = []

    def train(self, *, entries: Sequence[Entry], adapter: Path | None, output: Path, seed: int) -> Adapter:
        """Write the digest of the entries as the weights."""
        output.mkdir(parents=True)
        if self._breaks:
            raise InfrastructureError("the fake trainer breaks here")
        self.trained.append((len(entries), adapter))
        corpus = digest(canonical([entry.model_dump(mode="json") for entry in entries]))
        (output / "adapter_model.safetensors").write_text(corpus)
        return Adapter(
            path=str(output),
            base_model="fake",
            entries=len(entries),
            steps=len(entries),
            tokens=10 * len(entries),
            trainable_parameters=1,
            optimizer="none",
            loss=(1.0, 0.5),
            corpus=corpus,
            weights=digest(f"{corpus} {seed}".encode()),
            measured=AdapterMeasured(seconds=1.0),
        )


def fake_parts(run: RunFolder, *, generator: FakeGenerator, evaluator: FakeEvaluator, trainer: FakeTrainer) -> Parts:
    """Return what the loop works with, all of it fake: three seeds, and a prompt of one word."""
    prompt = (Message(role="user", content="Design."),)
    protocol = run.config.protocol.hash()
    return Parts(
        reap=lambda: None,
        generator=generator,
        evaluator=lambda: evaluator,
        trainer=trainer,
        seeds=lambda store: [fake_entry(index, store, protocol=protocol) for index in range(3)],
        prompt=prompt,
        pair=lambda source: (*prompt, Message(role="assistant", content=source)),
        chance=0.1,
        majority=0.1,
    )


def fake_predictions(accuracy: float) -> bytes:
    """Return predictions of `LABELS` labels of class 0, of which `accuracy` (in thousandths) are right."""
    right = round(accuracy * LABELS)
    return struct.pack(f"<{LABELS}H", *([0] * right + [1] * (LABELS - right)))


def fake_shingles(source: bytes) -> bytes:
    """Return the shingle set of whitespace-separated words as sorted little-endian 64-bit hashes."""
    words = source.split()
    grams = {b" ".join(words[start : start + SHINGLE]) for start in range(max(1, len(words) - SHINGLE + 1))}
    numbers = sorted(int.from_bytes(hashlib.blake2b(gram, digest_size=8).digest(), "little") for gram in grams)
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def fake_entry(index: int, store: Store, *, protocol: str) -> Entry:
    """Return seed entry `index` with its source and shingles in `store`."""
    source = program(outcome="passed 0.5", body=-1 - index).encode()
    text = source.decode()
    return Entry(
        entry_id=f"seed-{index:04d}",
        origin="seed",
        task="fashion-mnist",
        source=store.put(source),
        shingles=store.put(fake_shingles(source)),
        accuracy=0.5,
        protocol=protocol,
        messages=(Message(role="user", content="Design."), Message(role="assistant", content=text)),
    )


def _random(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - nothing here is a secret
