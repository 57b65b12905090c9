"""Sampling half a cycle's candidates: all generated and then evaluated, or evaluated while the next are generated.

All use every core: one after the other with all threads, at once with all threads each, or at once with the threads
shared out, so that the LLM has one core and one slot has the other. Only what comes in two batches can overlap, so two
batches one after the other stand beside: what batches cost is not what overlapping costs. The adapter is trained once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.config import Config, load
from orchestrator.loop import Loop
from orchestrator.loop.assembly import real_parts
from orchestrator.progress import Event, StageBegins
from orchestrator.run import RunFolder, run_lock
from tests.benchmarks.machine import settle
from tests.benchmarks.once import Once
from tests.benchmarks.result import Comparison, Goal, Sample
from tests.benchmarks.row import CACHE, CONFIG, RUN, Row, Samples, Sides, laid_out

AFTER, BATCHES = "one after the other", "one after the other, in two batches"
AT_ONCE, SHARED = "at once", "at once, threads shared out"
WAYS = {
    AFTER: (),
    BATCHES: ("budget.chunk=8", "budget.overlap=false"),
    AT_ONCE: ("budget.chunk=8",),
    SHARED: ("budget.chunk=8", "llm.model.threads=1", "sandbox.slots=1"),
}
HALF = ("budget.candidates=16",)
SMALL = (*HALF, "llm.decoding.max_new_tokens=200", "llm.sft.epochs=1", "corpus.entries=4")


def sample(config: Config, adapter: Path) -> Sample:
    """Run one cycle in a new folder; the seconds from its first candidate to its last decision."""
    moments: dict[str, float] = {}

    def observe(event: Event) -> None:
        if isinstance(event, StageBegins):
            if event.name == "sample":
                settle()
            moments[event.name] = time.monotonic()

    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with run_lock(folder):
            run = RunFolder.create(folder, config)
            parts = real_parts(run, cache=CACHE, observe=observe)
            (summary,) = Loop(run, replace(parts, trainer=Once(parts.trainer, adapter)), observe=observe).run()
        return Sample(moments["append"] - moments["sample"], {"summary": summary.model_dump(mode="json")})


@contextmanager
def sides(*, quick: bool) -> Iterator[Sides]:
    """Read the configurations."""
    work = SMALL if quick else HALF
    adapter = laid_out("adapter-quick" if quick else "adapter")
    yield {name: partial(sample, load(CONFIG, (*work, *settings)), adapter) for name, settings in WAYS.items()}


def remarks(samples: Samples) -> list[str]:
    """Say how many candidates trained."""
    valid = {name: taken[0].details["summary"]["valid"] for name, taken in samples.items()}
    return [", ".join(f"{name}: {count} valid" for name, count in valid.items())]


ROW = Row(
    name="overlap",
    unit="s",
    rounds=1,
    code=(*RUN, "llm", "tests/benchmarks/overlap.py"),
    comparisons=(
        *(Comparison(way, AFTER, (way,), Goal("at most", 1.0)) for way in (AT_ONCE, SHARED)),
        Comparison(BATCHES, AFTER, (BATCHES,), Goal("reported")),
    ),
    sides=sides,
    notes=("ours is what the quickstart does by default, and is to be the fastest",),
    remarks=remarks,
)
