"""Sixty programs that fail before training: verdicts per minute, against one `docker run` each, two at a time.

A third does not parse, a third fails when it is instantiated, a third in the first forward pass.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import click

from orchestrator.config import Config, load
from orchestrator.evaluation import SandboxEvaluator, Submission, prepare
from tests.benchmarks import docker_run
from tests.benchmarks.machine import settle
from tests.benchmarks.result import Comparison, Goal, Sample
from tests.benchmarks.row import BESIDE_DOCKER_RUN, CACHE, CONFIG, HONEST, RUN, Row, Samples, Sides

COUNT = 60
WARMER = "sandbox, warm for optimizers"
PARSING = "docker run, parsing first"
BROKEN = (
    ("parse", b"        super().__init__()\n", b"        super().__init__(\n"),
    (
        "instantiate",
        b"        super().__init__()\n",
        b"        super().__init__()\n        raise ValueError(in_shape)\n",
    ),
    ("forward", b"        return self.head(self.features(x))\n", b"        return self.features(self.head(x))\n"),
)


def programs(count: int) -> list[bytes]:
    """Return so many different programs, of which each kind fails at its stage."""
    honest = HONEST.read_bytes()
    texts = []
    for number in range(count):
        _, old, new = BROKEN[number % len(BROKEN)]
        texts.append(honest.replace(old, new, 1) + f"\nNUMBER = {number}\n".encode())
    return texts


@contextmanager
def sides(*, quick: bool) -> Iterator[Sides]:
    """Lay out the images, and build the programs."""
    config = load(CONFIG, ("sandbox.slots=2",))
    warmer = load(CONFIG, ("sandbox.slots=2", "sandbox.ahead=optimizers"))
    prepared = prepare(config.protocol, CACHE)
    texts = programs(6 if quick else COUNT)
    line = docker_run.command(config, prepared)

    def sandbox(config: Config) -> Sample:
        settle()
        submissions = [Submission(candidate_id=f"f{number:02d}", source=text) for number, text in enumerate(texts)]
        began = time.monotonic()
        with SandboxEvaluator(config=config, prepared=prepared, key=b"benchmark") as evaluator:
            verdicts = [evaluation.verdict for evaluation in evaluator.evaluate(submissions)]
            seconds = time.monotonic() - began
        check(Counter(verdict.stage for verdict in verdicts), texts)
        cpu = sum(verdict.measured.cpu_seconds or 0.0 for verdict in verdicts)
        return Sample(60 * len(texts) / seconds, {"seconds": seconds, "cpu_seconds_of_candidates": cpu})

    def one_each(*, parse_first: bool) -> Sample:
        settle()
        began = time.monotonic()
        with ThreadPoolExecutor(max_workers=config.sandbox.slots) as workers:
            job = partial(docker_run.job, config, prepared, parse_first=parse_first)
            ran = list(workers.map(lambda text: docker_run.run(line, job(text), text), texts))
        seconds = time.monotonic() - began
        check(Counter(one.said["stage"] for one in ran), texts)
        return Sample(60 * len(texts) / seconds, {"seconds": seconds})

    yield {
        "sandbox": partial(sandbox, config),
        WARMER: partial(sandbox, warmer),
        "docker run": partial(one_each, parse_first=False),
        PARSING: partial(one_each, parse_first=True),
    }


def remarks(samples: Samples) -> list[str]:
    """Say how far the sandbox is from the limit: the CPU time of the candidates' containers, on every core at once."""
    cores = len(os.sched_getaffinity(0))
    bounds = [sample.details["cpu_seconds_of_candidates"] / cores for sample in samples["sandbox"]]
    took = [sample.details["seconds"] for sample in samples["sandbox"]]
    limit, seconds = statistics.median(bounds), statistics.median(took)
    limited = f"one import of torch for each program that runs, {limit:.1f} s on {cores} cores"
    return [f"limit: the CPU time of {limited}, {limit / seconds:.0%} of the time taken"]


def check(stages: Counter[str], texts: list[bytes]) -> None:
    """Raise ClickException unless a third of the programs failed at each stage."""
    if stages != Counter({stage: len(texts) // len(BROKEN) for stage, _, _ in BROKEN}):
        raise click.ClickException(f"the programs failed elsewhere: {dict(stages)}")


ROW = Row(
    name="failing",
    unit="verdicts/min",
    rounds=2,
    code=(*RUN, *BESIDE_DOCKER_RUN, "tests/benchmarks/failing.py"),
    comparisons=(
        Comparison("docker run, two at a time", "sandbox", ("docker run",), Goal("at least", 1.4)),
        Comparison("docker run, two at a time, parsing before it imports", "sandbox", (PARSING,), Goal("reported")),
        Comparison("sandbox, always warm for optimizers", "sandbox", (WARMER,), Goal("reported")),
    ),
    sides=sides,
    notes=("from nothing started to the last verdict",),
    remarks=remarks,
)
