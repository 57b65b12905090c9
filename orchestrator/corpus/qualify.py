"""Which seed programs pass under a protocol, measured by the evaluator itself and kept as data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from orchestrator.config import Config
from orchestrator.errors import ConfigError, InfrastructureError, issues
from orchestrator.evaluation import Evaluator, Submission
from orchestrator.records import Count, Digest, Fraction, Line, VerdictState, digest
from orchestrator.run.disk import append_line, read_lines

DATA = Path(__file__).parent / "data"


class Qualification(Line):
    """How one program of the seed corpus did under a protocol; `program` is the digest of the text that was run.

    `fingerprint` is what it claimed of what it computes; lines from before it was taken lack it.
    """

    kind: Literal["qualification"] = "qualification"
    name: str
    program: Digest
    protocol: Digest
    state: VerdictState
    accuracy: Fraction | None
    parameters: Count | None
    tokens: Count | None
    fingerprint: Digest | None = None


@dataclass(frozen=True)
class Seed:
    """A program of the seed corpus as the language model will be shown it; shingles are little-endian uint64."""

    name: str
    text: bytes
    tokens: int
    shingles: bytes
    lemur_accuracy: float | None = None
    qualification: Qualification | None = None

    @property
    def digest(self) -> Digest:
        """The digest of the text, under which its qualification is found again."""
        return digest(self.text)


def locate(qualified: str) -> Path:
    """Return the qualification file that a configuration names: as a path, or among the files that come with us.

    Raises:
        ConfigError: it is in neither place.
    """
    for path in (Path(qualified), DATA / qualified):
        if path.is_file():
            return path
    raise ConfigError(f"corpus.qualified: there is no {qualified}; make it with `orchestrate corpus qualify`")


def read(path: Path, *, protocol: Digest) -> dict[str, Qualification]:
    """Return the qualifications in `path` by name; a torn last line, which a kill leaves behind, does not count.

    Raises:
        ConfigError: a line is damaged, or was measured under another protocol than `protocol`.
    """
    found: dict[str, Qualification] = {}
    for number, line in enumerate(read_lines(path).whole, start=1):
        try:
            record = Qualification.model_validate_json(line)
        except ValidationError as error:
            raise ConfigError(f"{path}:{number}: not a qualification: {next(issues(error))}") from error
        if record.protocol != protocol:
            raise ConfigError(
                f"{path}:{number}: measured under protocol {record.protocol}, but this configuration's is {protocol};"
                " qualify again with `orchestrate corpus qualify`, or change the protocol back"
            )
        found[record.name] = record
    return found


def qualify(config: Config, seeds: Iterable[Seed], evaluator: Evaluator, path: Path) -> Iterator[Qualification]:
    """Send every seed through `evaluator` and append what came of it to `path`; those already in it are skipped.

    A program that the infrastructure failed on is left out, for the next call to try.

    Yields:
        Each new qualification, once its line is written.

    Raises:
        ConfigError: `path` holds results of another protocol.
        InfrastructureError: the evaluator failed, or in the end: it failed on some programs. What was measured so far
            stays, and the same call goes on from there.
    """
    failed: list[str] = []
    protocol = config.protocol.hash()
    known = read(path, protocol=protocol)
    todo = [seed for seed in seeds if seed.name not in known or known[seed.name].program != seed.digest]
    submissions = (Submission(candidate_id=seed.name, source=seed.text) for seed in todo)
    for seed, evaluation in zip(todo, evaluator.evaluate(submissions), strict=True):
        verdict = evaluation.verdict
        if verdict.state == "quarantined":
            failed.append(f"{seed.name} ({verdict.cause})")
            continue
        record = Qualification(
            name=seed.name,
            program=seed.digest,
            protocol=protocol,
            state=verdict.state,
            accuracy=verdict.accuracy,
            parameters=verdict.claimed.parameters,
            tokens=seed.tokens,
            fingerprint=verdict.claimed.fingerprint,
        )
        append_line(path, record.model_dump_json().encode())
        yield record
    if failed:
        raise InfrastructureError(
            f"infrastructure failed on {', '.join(failed)}: repeat the command, which tries these"
        )
