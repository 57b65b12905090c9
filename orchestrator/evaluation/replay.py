"""Runs one candidate of a run again, in today's sandbox, and says whether the result is the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.config import Config
from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.evaluation.dataset import Prepared
from orchestrator.evaluation.opening import open_evaluator
from orchestrator.evaluation.seam import Evaluator, Submission
from orchestrator.records import Digest, Provenance, Verdict
from orchestrator.run import RunFolder, Store, provenance
from orchestrator.run.history import History
from orchestrator.run.keys import host_key

RESULT = ("state", "stage", "accuracy", "predictions")  # what must repeat; the rest is measured or claimed


@dataclass(frozen=True)
class Fact:
    """One thing that is compared: as it was recorded, and as it is today."""

    name: str
    recorded: Any
    today: Any

    @property
    def same(self) -> bool:
        """Whether both are equal; an accuracy is so bit for bit."""
        return bool(self.recorded == self.today)


@dataclass(frozen=True)
class Replay:
    """A candidate's result beside that of its repetition, and the surroundings of both."""

    result: tuple[Fact, ...]
    surroundings: tuple[Fact, ...]
    verdict: Verdict

    @property
    def same(self) -> bool:
        """Whether state, stage, accuracy and predictions are the same."""
        return all(fact.same for fact in self.result)


def replay(
    run: RunFolder,
    history: History,
    *,
    evaluator: AbstractContextManager[Evaluator],
    dataset: Digest,
) -> Replay:
    """Evaluate a candidate again under its own id and compare; nothing is written into the run's folder.

    `evaluator` is entered for it; `dataset` is the SHA-256 of today's data set.

    Raises:
        ConfigError: the candidate has no verdict to compare with.
        InfrastructureError: the sandbox failed.
    """
    recorded = history.verdict
    if recorded is None:
        raise ConfigError(f"{history.candidate_id}: has no verdict yet; there is nothing to compare with")
    source = None if history.candidate is None else history.candidate.source
    submission = Submission(history.candidate_id, None if source is None else run.store.get(source))
    with evaluator as evaluating:
        (evaluation,) = evaluating.evaluate([submission])
    if evaluation.verdict.state == "quarantined":
        raise InfrastructureError(f"{history.candidate_id}: not evaluated again: {evaluation.verdict.cause}")
    today = described(evaluation.objects.get(evaluation.verdict.environment))
    known = run.provenance.read()
    return Replay(
        result=compared(recorded, evaluation.verdict),
        surroundings=(
            Fact("protocol", recorded.protocol, evaluation.verdict.protocol),
            *environments(described(_kept(run.store, recorded.environment)), today),
            *hosts(known[-1] if known else None, packages=provenance.packages(), dataset=dataset),
        ),
        verdict=evaluation.verdict,
    )


def sandboxed(run: RunFolder, *, config: Config, prepared: Prepared, cache: Path) -> AbstractContextManager[Evaluator]:
    """Return the loop's own evaluator, to be entered, with the run's key: order of images and seed repeat.

    `config` is the run's own, or a variation of it; one slot is enough for one candidate.

    Raises:
        ConfigError: the run has no key.
    """
    if not (run.path / "key").exists():
        raise ConfigError(f"{run.path}: has no key, which gives the order of the validation images")
    key = host_key(run.path, config=run.config, cache=cache)
    alone = config.model_copy(update={"sandbox": config.sandbox.model_copy(update={"slots": 1})})
    return open_evaluator(alone, cache=cache, prepared=prepared, key=key)


def compared(recorded: Verdict, today: Verdict) -> tuple[Fact, ...]:
    """Return what must be the same in both verdicts."""
    return tuple(Fact(name, getattr(recorded, name), getattr(today, name)) for name in RESULT)


def described(environment: bytes | None) -> dict[str, Any]:
    """Return the description of where a verdict was reached as plain data; empty if there is none."""
    plain = {} if environment is None else json.loads(environment)
    return plain if isinstance(plain, dict) else {}


def _kept(store: Store, name: Digest) -> bytes | None:
    return store.get(name) if store.path(name).exists() else None


def environments(recorded: Mapping[str, Any], today: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Return every part of two environments, side by side: image, engine, kernel, runtime, device, threads, ..."""
    return tuple(Fact(name, recorded.get(name), today.get(name)) for name in sorted(recorded.keys() | today.keys()))


def hosts(recorded: Provenance | None, *, packages: Mapping[str, str], dataset: str) -> tuple[Fact, ...]:
    """Return the versions and the data set of the run's last provenance, beside today's."""
    if recorded is None:
        return ()
    names = sorted(recorded.packages.keys() | packages.keys())
    versions = (Fact(f"package {name}", recorded.packages.get(name), packages.get(name)) for name in names)
    return (Fact("data set", recorded.dataset, dataset), *versions)
