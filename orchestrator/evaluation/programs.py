"""Programs in, verdicts out: the evaluator for people who have programs and no run."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from orchestrator.config import Config, load
from orchestrator.evaluation.dataset import Prepared
from orchestrator.evaluation.opening import open_evaluator
from orchestrator.evaluation.seam import Submission
from orchestrator.records import Evaluation, Verdict, digest
from orchestrator.sandbox import Engine
from orchestrator.shipped import cache_folder
from sandbox_image.wire import SOURCE_LIMIT

ID_DIGITS = 16

Program = str | bytes | Path | Submission


def evaluate(
    programs: Iterable[Program], config: Config | None = None, *, cache: str | Path | None = None
) -> Iterator[Verdict]:
    """Yield the verdict on each program, in order, each evaluated in a container of its own that is used once.

    A program is its text (str, or bytes in UTF-8), the Path of a file, or a Submission, which has an id of its own; the
    others are called after their content, so that a program that is evaluated again gets the same verdict. `programs`
    may be a generator that blocks: evaluation of the first begins before the last is known. `config` is the
    quickstart's unless given: one epoch over 2,048 images of Fashion-MNIST, 3 x 32 x 32. A verdict's `accuracy` is a
    share from 0 to 1, and None unless its `state` is `passed`; `measured.seconds` are seconds by stage,
    `measured.peak_memory` bytes.

        for verdict in orchestrator.evaluate([Path("model.py").read_text()]):
            print(verdict.state, verdict.stage, verdict.cause, verdict.accuracy)

    Raises:
        ConfigError: the machine cannot give what the configuration asks for, or a Path is no readable file.
        InfrastructureError: the engine, an image or the data set cannot be had; a program that the infrastructure fails
            again and again, and others not, has the state `quarantined` instead.
    """
    for evaluation in evaluations(programs, load() if config is None else config, cache=cache_folder(cache)):
        yield evaluation.verdict


def evaluations(
    programs: Iterable[Program],
    config: Config,
    *,
    cache: Path,
    prepared: Prepared | None = None,
    engine: Engine | None = None,
) -> Generator[Evaluation, None, None]:
    """Yield what came of each program with everything that belongs to it, as what it printed; see `evaluate`."""
    with open_evaluator(config, cache=cache, prepared=prepared, engine=engine) as evaluator:
        yield from evaluator.evaluate(map(submission, programs))


def submission(program: Program) -> Submission:
    """Name a program after its content, so that the same program is the same candidate wherever it lies.

    Raises:
        OSError: it is a Path, and the file cannot be read.
    """
    if isinstance(program, Submission):
        return program
    source = _content(program) if isinstance(program, Path) else program
    encoded = source.encode() if isinstance(source, str) else source
    return Submission(candidate_id=digest(encoded)[:ID_DIGITS], source=encoded)


def _content(path: Path) -> bytes:
    """Return the content of a file, or as much of it as is too long for any program: a file may have gigabytes."""
    with path.open("rb") as file:
        return file.read(SOURCE_LIMIT + 1)
