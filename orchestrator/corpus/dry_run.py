"""Which programs come through a forward pass in the sandbox, found out once: only a timeout is tried again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from orchestrator.config import Config
from orchestrator.corpus.qualify import Seed
from orchestrator.errors import InfrastructureError
from orchestrator.evaluation import Evaluator, Submission
from orchestrator.progress import Report, left_after, time_left
from orchestrator.records import STAGES, Digest, Failed, Line, Verdict, canonical, digest
from orchestrator.run.disk import append_line, read_lines
from orchestrator.sections import SandboxConfig

AT_ONCE = 1e-3  # seconds
LAST = STAGES.index("forward")
TOGETHER = 20  # programs between two lines of progress
BESIDE = frozenset({"image", "slots", "ahead", "log_stored", "parser_uses"})  # the image counts by its id


class DryRun(Line):
    """How far the program whose text has the digest `program` came: `failure` is null if forward was passed."""

    kind: Literal["dry_run"] = "dry_run"
    program: Digest
    failure: Failed | None


def rehearsal(config: Config) -> Config:
    """Return `config` with no time to train: the host hears that forward was passed, and closes the container.

    What the candidate does until its container is gone changes nothing: a verdict on training is as good as any.
    """
    deadlines = config.sandbox.deadlines.model_copy(update={"train": AT_ONCE, "predict": AT_ONCE})
    return config.model_copy(update={"sandbox": config.sandbox.model_copy(update={"deadlines": deadlines})})


def identity(config: Config, *, image: str) -> Digest:
    """Return what all that a dry run depends on beside the program comes to; `image` is the sandbox image's id."""
    sandbox: SandboxConfig = rehearsal(config).sandbox
    setting = {
        "image": image,
        "protocol": config.protocol.hash(),
        "completion": config.completion,
        "sandbox": sandbox.model_dump(mode="json", by_alias=True, exclude=set(BESIDE)),
    }
    return digest(canonical(setting))


def dry_runs(
    seeds: Sequence[Seed], *, evaluator: Callable[[], AbstractContextManager[Evaluator]], path: Path, report: Report
) -> dict[Digest, Failed | None]:
    """Return why programs do not pass forward, or None if they do, by the digest of their text.

    What `path` holds is not tried again, and no evaluator is made if it holds all; what is learned is added to it
    at once, so that a kill costs what was under way. That forward was passed is the program's own claim: it gives it
    a place in the corpus, and no accuracy.

    Raises:
        InfrastructureError: the evaluator failed, or quarantined a program; what was learned so far stays.
    """
    known = _known(path)
    todo = list({seed.digest: seed for seed in seeds if seed.digest not in known}.values())
    if todo:
        report(f"dry run: {len(seeds) - len(todo):,} of {len(seeds):,} programs are known, {len(todo):,} are tried")
        with evaluator() as opened:
            for found in _tried(todo, opened, path, report):
                known[found.program] = found.failure
    return {seed.digest: known[seed.digest] for seed in seeds}


def _tried(todo: Sequence[Seed], evaluator: Evaluator, path: Path, report: Report) -> Iterator[DryRun]:
    """Try every seed, and yield what came of each; if that is kept, once it is written."""
    submissions = (Submission(candidate_id=seed.name, source=seed.text) for seed in todo)
    began, passed = time.monotonic(), 0
    for done, (seed, evaluation) in enumerate(zip(todo, evaluator.evaluate(submissions), strict=True), start=1):
        found = DryRun(program=seed.digest, failure=_failure(seed, evaluation.verdict))
        if found.failure is None or found.failure.state != "timeout":  # which may be the machine's load
            append_line(path, found.model_dump_json().encode())
        passed += found.failure is None
        if done % TOGETHER == 0 or done == len(todo):
            elapsed = time.monotonic() - began
            left = time_left(elapsed, done=done, missing=len(todo) - done)
            report(f"dry run: {done:,} of {len(todo):,}, {passed:,} passed, {left_after(elapsed, left)}")
        yield found


def _failure(seed: Seed, verdict: Verdict) -> Failed | None:
    if verdict.state == "quarantined":
        raise InfrastructureError(
            f"the dry run of {seed.name} failed for no fault of its own: {verdict.cause}; see that containers start"
            " (`orchestrate doctor`) and repeat the command, which goes on from there"
        )
    if verdict.state == "passed" or STAGES.index(verdict.stage) > LAST:
        return None
    return Failed(state=verdict.state, stage=verdict.stage, cause=verdict.cause or "")


def _known(path: Path) -> dict[Digest, Failed | None]:
    """Return what `path` holds; a line that is torn or damaged does not count."""
    found: dict[Digest, Failed | None] = {}
    for line in read_lines(path).whole:
        with suppress(ValidationError):
            record = DryRun.model_validate_json(line)
            found[record.program] = record.failure
    return found
