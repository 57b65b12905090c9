"""Thirty honest LEMUR programs: the whole batch through the evaluator, against training them bare, one by one.

Bare is one process that has imported torch already. Both sides have the same number of torch threads in all: two slots
of one thread against a process of two, and, as a second comparison, one slot of two threads against the same process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from orchestrator.config import Config, load
from orchestrator.corpus import qualify
from orchestrator.corpus.build import curated
from orchestrator.evaluation import Prepared, SandboxEvaluator, Submission, prepare
from orchestrator.records import STAGES
from tests.benchmarks.bare_run import Bare
from tests.benchmarks.machine import settle
from tests.benchmarks.result import Comparison, Goal, Sample
from tests.benchmarks.row import CACHE, CONFIG, EPOCH, RUN, Row, Samples, Sides, laid_out

COUNT = 30
THREADS = 2
SLOTS = {
    "2 slots of 1 thread": ("sandbox.slots=2", "sandbox.threads=1"),
    "1 slot of 2 threads": ("sandbox.slots=1", "sandbox.threads=2", "sandbox.limits.cpus=2"),
}
SMALL = ("protocol.train_samples=512", "protocol.validation_samples=200")


def programs(config: Config) -> list[bytes]:
    """Return the texts of thirty programs that passed, evenly spaced by their number of parameters; laid out once."""
    folder = laid_out("programs")
    if not folder.is_dir():
        records = qualify.read(qualify.locate(config.corpus.qualified or ""), protocol=config.protocol.hash())
        sizes = {name: one.parameters or 0 for name, one in records.items() if one.state == "passed"}
        seeds = curated(config, cache=CACHE, names=frozenset(sizes))  # some are too long for this configuration
        folder.mkdir(parents=True)
        ranked = sorted(seeds, key=lambda seed: (sizes[seed.name], seed.name))
        for number in range(COUNT):
            seed = ranked[number * len(ranked) // COUNT]
            (folder / f"{number:02d}-{seed.name}.py").write_bytes(seed.text)
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@contextmanager
def sides(*, quick: bool) -> Iterator[Sides]:
    """Lay out programs and images; the texts that bare runs are those that the sandbox completed."""
    texts = programs(load(CONFIG))[: 2 if quick else COUNT]
    images = SMALL if quick else EPOCH
    config = load(CONFIG, images)
    prepared = prepare(config.protocol, CACHE)
    completed: list[bytes] = []

    def sandbox(overrides: tuple[str, ...]) -> Callable[[], Sample]:
        return lambda: evaluate(load(CONFIG, (*images, *overrides)), prepared, texts, completed)

    def bare() -> Sample:
        settle()
        began = time.monotonic()
        seconds = Bare(config, prepared, threads=THREADS).run(completed)
        whole = time.monotonic() - began
        stages = {name: sum(one.get(name, 0.0) for one in seconds) for name in STAGES}
        return Sample(sum(stages.values()), {"stages": stages, "with_start": whole})

    yield {name: sandbox(overrides) for name, overrides in SLOTS.items()} | {"bare": bare}


def evaluate(config: Config, prepared: Prepared, texts: list[bytes], completed: list[bytes]) -> Sample:
    """Return the seconds of the whole batch, and leave in `completed` the texts that ran."""
    settle()
    began = time.monotonic()
    submissions = [Submission(candidate_id=f"b{number:02d}", source=text) for number, text in enumerate(texts)]
    with SandboxEvaluator(config=config, prepared=prepared, key=b"benchmark") as evaluator:
        done = list(evaluator.evaluate(submissions))
        seconds = time.monotonic() - began
    completed[:] = [one.objects[one.candidate.program.runs] for one in done if one.candidate.program is not None]
    failed = [one.verdict for one in done if one.verdict.state != "passed"]
    if failed:
        raise click.ClickException(f"an honest program ended as {failed[0].state}: {failed[0].cause}")
    measured = [one.verdict.measured for one in done]
    stages = {name: sum(one.seconds.get(name, 0.0) for one in measured) for name in (*STAGES, "claim")}
    cpu = sum(one.cpu_seconds or 0.0 for one in measured)
    in_stages = sum(sum(one.stage_cpu_seconds.values()) for one in measured)
    return Sample(seconds, {"stages": stages, "slots": config.sandbox.slots, "cpu": cpu, "cpu_in_stages": in_stages})


def remarks(samples: Samples) -> list[str]:
    """Break down what the sandbox adds: slots' time outside of stages, and CPU time before the claims."""
    found = [f"{COUNT} programs that passed, evenly spaced by size"]
    for name in SLOTS:
        first = samples[name][0]
        slots, stages = first.details["slots"], first.details["stages"]
        busy = sum(stages[stage] for stage in STAGES)
        idle = slots * first.value - busy
        before = first.details["cpu"] - first.details["cpu_in_stages"]
        others = busy - stages["train"] - stages["predict"]
        found.append(
            f"{name}: of {slots * first.value:.0f} slot seconds {stages['train']:.0f} train,"
            f" {stages['predict']:.0f} predict, {others:.0f} other stages, {idle:.0f} between candidates;"
            f" {before:.0f} CPU s of the containers outside of stages"
        )
    bare = samples["bare"][0].details["stages"]
    found.append(f"bare: {bare['train']:.0f} s train, {bare['predict']:.0f} s predict")
    return found


ROW = Row(
    name="batch",
    unit="s",
    rounds=1,
    code=(*RUN, *(f"tests/benchmarks/{name}.py" for name in ("bare", "bare_run", "batch"))),
    comparisons=tuple(Comparison(f"bare; {name}", name, ("bare",), Goal("at most", 1.25)) for name in SLOTS),
    sides=sides,
    remarks=remarks,
)
