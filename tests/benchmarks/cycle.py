"""A whole quickstart cycle, against the same cycle without overlap and batching, all of it through the loop's seams.

Off means: every completion is generated alone, and evaluation begins when all are there. The pool stays on: nothing in
the configuration turns it off.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.config import Config, load
from orchestrator.cycle import Loop
from orchestrator.ledger import run_lock
from orchestrator.parts import real_parts
from orchestrator.progress import Event, StageBegins
from orchestrator.records import GenerationChunk, Message, Sampled
from orchestrator.run import RunFolder
from orchestrator.seams import Generator
from tests.benchmarks.machine import settle
from tests.benchmarks.result import Comparison, Goal, Sample
from tests.benchmarks.row import CACHE, CONFIG, Row, Samples, Sides

OFF = ("budget.chunk=1",)
SMALL = (
    "llm.sft.epochs=1",
    "corpus.entries=4",
    "budget.candidates=2",
    "llm.decoding.max_new_tokens=32",
    "protocol.train_samples=4096",
)


@dataclass(frozen=True)
class First:
    """A generator that hands nothing over before everything is there."""

    generator: Generator

    def generate(
        self, *, adapter: Path | None, messages: Sequence[Message], chunks: Sequence[GenerationChunk]
    ) -> Iterator[Sampled]:
        """Generate all, then yield all."""
        yield from list(self.generator.generate(adapter=adapter, messages=messages, chunks=chunks))


def cycle(config: Config, *, overlap: bool) -> Sample:
    """Run one cycle in a new folder; seconds."""
    settle()
    stages: list[tuple[str, float]] = []

    def observe(event: Event) -> None:
        if isinstance(event, StageBegins):
            stages.append((event.name, time.monotonic()))

    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        began = time.monotonic()
        with run_lock(folder):
            run = RunFolder.create(folder, config)
            parts = real_parts(run, cache=CACHE, observe=observe)
            if not overlap:
                parts = replace(parts, generator=First(parts.generator))
            (summary,) = Loop(run, parts, observe=observe).run()
        seconds = time.monotonic() - began
    ends = [moment for _, moment in stages[1:]] + [began + seconds]
    took = {name: round(end - start, 2) for (name, start), end in zip(stages, ends, strict=True)}
    return Sample(seconds, {"stages": took, "summary": summary.model_dump(mode="json")})


@contextmanager
def sides(*, quick: bool) -> Iterator[Sides]:
    """Read the two configurations."""
    small = SMALL if quick else ()
    yield {
        "as it is": partial(cycle, load(CONFIG, small), overlap=True),
        "off": partial(cycle, load(CONFIG, (*small, *OFF)), overlap=False),
    }


def remarks(samples: Samples) -> list[str]:
    """Say how long each stage took."""
    return [
        f"{name}: " + ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in taken[0].details["stages"].items())
        for name, taken in samples.items()
    ]


ROW = Row(
    name="cycle",
    unit="s",
    rounds=1,
    code=("orchestrator", "llm", "sandbox_image", "configs/quickstart.yaml", "tests/benchmarks/cycle.py"),
    comparisons=(Comparison("overlap and batching off", "as it is", ("off",), Goal("at least", 1.8)),),
    sides=sides,
    notes=("the pool is on on both sides",),
    remarks=remarks,
)
