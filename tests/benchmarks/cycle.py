"""A whole quickstart cycle, against the same cycle with the pool, overlap and batching off.

Off means: every completion is generated alone, evaluation begins when all are there, and a container is started when
its program comes. Fine-tuning is the same on both sides: it is done once, and its seconds count for both.
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
from tests.benchmarks.row import CACHE, CONFIG, RUN, Row, Samples, Sides

OFF = ("budget.chunk=1", "budget.overlap=false", "sandbox.ahead=nothing")
SMALL = (
    "llm.sft.epochs=1",
    "corpus.entries=4",
    "budget.candidates=2",
    "llm.decoding.max_new_tokens=32",
)


def cycle(config: Config, adapter: Path) -> Sample:
    """Run one cycle in a new folder; seconds, with those of the fine-tune whether it was done now or before."""
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
            trainer = Once(parts.trainer, adapter)
            (summary,) = Loop(run, replace(parts, trainer=trainer), observe=observe).run()
        ended = time.monotonic()
    ends = [moment for _, moment in stages[1:]] + [ended]
    took = {name: round(end - start, 2) for (name, start), end in zip(stages, ends, strict=True)}
    now = took["finetune"]
    took["finetune"] = round(trainer.seconds, 2)
    seconds = ended - began - now + trainer.seconds
    return Sample(seconds, {"stages": took, "summary": summary.model_dump(mode="json")})


@contextmanager
def sides(*, quick: bool) -> Iterator[Sides]:
    """Read the two configurations."""
    small = SMALL if quick else ()
    with TemporaryDirectory() as folder:
        adapter = Path(folder) / "adapter"
        yield {
            "as it is": partial(cycle, load(CONFIG, small), adapter),
            "off": partial(cycle, load(CONFIG, (*small, *OFF)), adapter),
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
    code=(*RUN, "llm", "tests/benchmarks/cycle.py"),
    comparisons=(Comparison("pool, overlap and batching off", "as it is", ("off",), Goal("at least", 1.8)),),
    sides=sides,
    remarks=remarks,
)
