"""One honest program on an idle machine, from submission to verdict: the sandbox against `docker run` from cold."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
import numpy as np

from orchestrator.config import load
from orchestrator.evaluation import SandboxEvaluator, Submission, prepare
from tests.benchmarks import docker_run
from tests.benchmarks.machine import settle
from tests.benchmarks.result import Comparison, Goal, Sample
from tests.benchmarks.row import BESIDE_DOCKER_RUN, CACHE, CONFIG, EPOCH, HONEST, RUN, Row, Samples, Sides

SMALL = ("protocol.train_samples=512", "protocol.validation_samples=200")


@contextmanager
def sides(*, quick: bool) -> Iterator[Sides]:
    """Open an evaluator of one slot, and start its parser."""
    config = load(CONFIG, ("sandbox.slots=1", *(SMALL if quick else EPOCH)))
    prepared = prepare(config.protocol, CACHE)
    program = HONEST.read_bytes()
    line, job = docker_run.command(config, prepared), docker_run.job(config, prepared, program)
    with SandboxEvaluator(config=config, prepared=prepared, key=b"benchmark") as evaluator:
        list(evaluator.evaluate([Submission(candidate_id="first", source=b"")]))

        def sandbox() -> Sample:
            settle()
            began = time.monotonic()
            (evaluation,) = evaluator.evaluate([Submission(candidate_id="honest", source=program)])
            seconds = time.monotonic() - began
            verdict = evaluation.verdict
            if verdict.state != "passed":
                raise click.ClickException(f"the honest program ended as {verdict.state}: {verdict.cause}")
            return Sample(seconds, {"accuracy": verdict.accuracy, "stages": verdict.measured.seconds})

        def cold() -> Sample:
            settle()
            ran = docker_run.run(line, job, program)
            answers = np.array(ran.said["predictions"])
            return Sample(ran.seconds, {"accuracy": float((answers == prepared.validation_labels).mean())})

        yield {"sandbox": sandbox, "docker run": cold}


def remarks(samples: Samples) -> list[str]:
    """Say whether both sides did the same work, and what the sandbox's time was beside the stages."""
    same = {sample.details["accuracy"] for taken in samples.values() for sample in taken}
    first = samples["sandbox"][0]
    inside = sum(seconds for stage, seconds in first.details["stages"].items() if stage != "claim")
    return [
        "equal accuracy on both sides" if len(same) == 1 else f"accuracies {sorted(same)}",
        f"limit: the stages themselves, {inside:.2f} of {first.value:.2f} s in the first run",
    ]


ROW = Row(
    name="cold",
    unit="s",
    rounds=5,
    code=(*RUN, *BESIDE_DOCKER_RUN, "tests/benchmarks/cold.py"),
    comparisons=(Comparison("docker run", "sandbox", ("docker run",), Goal("at most", 0.85)),),
    sides=sides,
    remarks=remarks,
)
