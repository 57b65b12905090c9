"""From submitting a program to its first statement: a waiting container against `docker run` of the same image.

Both sides run a program whose first statement reads the monotonic clock, which containers share with the host. The
sandbox's time holds parsing and the claim; that of `docker run` holds the start and the import of torch.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.config import load
from orchestrator.evaluation import SandboxEvaluator, Submission, prepare
from tests.benchmarks import docker_run
from tests.benchmarks.machine import settle
from tests.benchmarks.result import Comparison, Goal, Sample
from tests.benchmarks.row import BESIDE_DOCKER_RUN, CACHE, CONFIG, HONEST, RUN, Row, Samples, Sides

STATEMENTS = b"import time\nMARK = time.monotonic()\nprint(MARK)\nraise RuntimeError\n"


@contextmanager
def sides(*, quick: bool) -> Iterator[Sides]:
    """Open an evaluator of one slot, and start its parser."""
    config = load(CONFIG, ("sandbox.slots=1",))
    prepared = prepare(config.protocol, CACHE)
    program = STATEMENTS + HONEST.read_bytes()
    line, job = docker_run.command(config, prepared), docker_run.job(config, prepared, program)
    with SandboxEvaluator(config=config, prepared=prepared, key=b"benchmark") as evaluator:
        list(evaluator.evaluate([Submission(candidate_id="first", source=program)]))

        def waiting() -> Sample:
            settle()
            began = time.monotonic()
            (evaluation,) = evaluator.evaluate([Submission(candidate_id="claim", source=program)])
            measured = evaluation.verdict.measured
            mark = float(evaluation.objects[measured.stdout or ""].split()[0])
            return Sample(1000 * (mark - began), {"claim_ms": 1000 * measured.seconds["claim"]})

        def cold() -> Sample:
            settle()
            ran = docker_run.run(line, job, program)
            return Sample(1000 * (ran.said["mark"] - ran.began), {})

        yield {"waiting container": waiting, "docker run": cold}


def remarks(samples: Samples) -> list[str]:
    """Say how much of it is the claim alone."""
    alone = statistics.median(sample.details["claim_ms"] for sample in samples["waiting container"])
    return [f"of which claim to first stage {alone:.1f} ms; the rest is parsing and storing"]


ROW = Row(
    name="claim",
    unit="ms",
    rounds=7,
    code=(*RUN, *BESIDE_DOCKER_RUN, "tests/benchmarks/claim.py"),
    comparisons=(Comparison("docker run", "waiting container", ("docker run",), Goal("at most", 0.02)),),
    sides=sides,
    remarks=remarks,
)
