"""A whole quickstart cycle, against the same cycle with the pool, overlap and batching off.

Off means: every completion is generated alone, evaluation begins when all are there, and a container is started when
its program comes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.config import Config, load
from orchestrator.cycle import Loop
from orchestrator.ledger import run_lock
from orchestrator.parts import real_parts
from orchestrator.progress import Event, StageBegins
from orchestrator.run import RunFolder
from tests.benchmarks.machine import settle
from tests.benchmarks.result import Comparison, Goal, Sample
from tests.benchmarks.row import CACHE, CONFIG, Row, Samples, Sides

OFF = ("budget.chunk=1", "budget.overlap=false", "sandbox.ahead=nothing")
SMALL = (
    "llm.sft.epochs=1",
    "corpus.entries=4",
    "budget.candidates=2",
    "llm.decoding.max_new_tokens=32",
    "protocol.train_samples=4096",
)


def cycle(config: Config) -> Sample:
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
        "as it is": partial(cycle, load(CONFIG, small)),
        "off": partial(cycle, load(CONFIG, (*small, *OFF))),
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
    comparisons=(Comparison("pool, overlap and batching off", "as it is", ("off",), Goal("at least", 1.8)),),
    sides=sides,
    remarks=remarks,
)
