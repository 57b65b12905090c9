"""What the lockdown costs: one honest program in the sandbox against the same program bare on the host.

Give runtimes as arguments, or none for runc and runsc. Sides alternate, with the same torch, threads and data; medians,
ranges and ratios are of the time from the first stage to the last prediction, without the container's start.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from orchestrator.config import Config, load
from orchestrator.evaluation import Prepared, SandboxEvaluator, Submission, prepare
from tests.benchmarks.bare_run import Bare
from tests.benchmarks.row import CACHE, CONFIG, EPOCH, HONEST
from tests.support.checkout import CHECKOUT

RESULT = CHECKOUT / "results" / "bench" / "hardening.json"
STAGES = ("import", "instantiate", "forward", "train", "predict")
RUNS = 5


def settings(runtime: str) -> Config:
    """Return the quickstart with one slot, so that nothing else runs beside the program that is timed."""
    return load(CONFIG, (f"sandbox.runtime={runtime}", "sandbox.slots=1", *EPOCH))


def in_sandbox(config: Config, prepared: Prepared, folder: Path) -> float:
    """Return the seconds of all stages of the honest program in a container."""
    with SandboxEvaluator(config=config, prepared=prepared, key=b"benchmark") as evaluator:
        (evaluation,) = evaluator.evaluate([Submission(candidate_id="honest", source=HONEST.read_bytes())])
    verdict = evaluation.verdict
    if verdict.state != "passed":
        raise click.ClickException(f"the honest program ended as {verdict.state}: {verdict.cause}")
    return sum(verdict.measured.seconds[stage] for stage in STAGES)


def bare(config: Config, prepared: Prepared) -> float:
    """Return the seconds of all stages of the honest program in a plain process."""
    (seconds,) = Bare(config, prepared, threads=config.sandbox.threads).run([HONEST.read_bytes()])
    return sum(seconds[stage] for stage in STAGES)


def main(runtimes: list[str]) -> None:
    """Alternate the sides, print the table, and write it as JSON."""
    times: dict[str, list[float]] = {"bare": [], **{runtime: [] for runtime in runtimes}}
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepared = prepare(settings("runc").protocol, CACHE)
        for number in range(RUNS):
            times["bare"].append(bare(settings("runc"), prepared))
            for runtime in runtimes:
                times[runtime].append(in_sandbox(settings(runtime), prepared, folder / "objects"))
            click.echo(f"run {number + 1} of {RUNS}: " + ", ".join(f"{k} {v[-1]:.2f} s" for k, v in times.items()))
    medians = {side: statistics.median(values) for side, values in times.items()}
    for side, values in times.items():
        ratio = medians[side] / medians["bare"]
        click.echo(f"{side:6} median {medians[side]:6.2f} s [{min(values):.2f}, {max(values):.2f}]  ratio {ratio:.3f}")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"seconds": times, "medians": medians}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:] or ["runc", "runsc"])
