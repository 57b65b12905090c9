"""Reads a run's ledgers back as one line of history for each candidate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import ConfigError
from orchestrator.records import Candidate, Completion, Novelty, Verdict
from orchestrator.run import RunFolder


@dataclass(frozen=True)
class History:
    """Everything that the ledgers say of one candidate, as far as it got."""

    cycle: int
    completion: Completion
    candidate: Candidate | None
    verdict: Verdict | None
    novelty: Novelty | None

    @property
    def candidate_id(self) -> str:
        """The candidate's name."""
        return self.completion.candidate_id

    @property
    def state(self) -> str:
        """The terminal state: what was decided about a valid candidate, else its verdict; `pending` before that."""
        if self.novelty is not None:
            return self.novelty.decision
        return "pending" if self.verdict is None else self.verdict.state

    @property
    def accuracy(self) -> float | None:
        """The first-epoch accuracy of a valid candidate."""
        return None if self.verdict is None else self.verdict.accuracy

    def plain(self) -> dict[str, Any]:
        """Return the history as plain data, without the program and the completion's text."""
        verdict = self.verdict
        return {
            "cycle": self.cycle,
            "candidate_id": self.candidate_id,
            "state": self.state,
            "stage": None if verdict is None else verdict.stage,
            "cause": None if verdict is None else verdict.cause,
            "accuracy": self.accuracy,
            "source": None if self.candidate is None else self.candidate.source,
            "claimed": None if verdict is None else verdict.claimed.model_dump(mode="json"),
            "measured": None if verdict is None else verdict.measured.model_dump(mode="json"),
            "novelty": None if self.novelty is None else self.novelty.model_dump(mode="json"),
        }


@dataclass(frozen=True)
class Filter:
    """Which candidates are wanted; None wants all."""

    cycle: int | None = None
    state: str | None = None
    stage: str | None = None
    cause: str | None = None
    least: float | None = None
    most: float | None = None

    def wants(self, history: History) -> bool:
        """Whether `history` passes every part of the filter."""
        verdict = history.verdict
        checks: list[tuple[object, Callable[[], bool]]] = [
            (self.cycle, lambda: history.cycle == self.cycle),
            (self.state, lambda: history.state == self.state),
            (self.stage, lambda: verdict is not None and verdict.stage == self.stage),
            (self.cause, lambda: verdict is not None and (self.cause or "").lower() in (verdict.cause or "").lower()),
            (self.least, lambda: history.accuracy is not None and history.accuracy >= (self.least or 0.0)),
            (self.most, lambda: history.accuracy is not None and history.accuracy <= (self.most or 0.0)),
        ]
        return all(wanted is None or passes() for wanted, passes in checks)


def histories(run: RunFolder) -> Iterator[History]:
    """Yield every candidate of every cycle, in candidate order."""
    for folder in run.cycles():
        candidates = {record.candidate_id: record for record in folder.candidates.read()}
        verdicts = {record.candidate_id: record for record in folder.verdicts.read()}
        novelty = {record.candidate_id: record for record in folder.novelty.read()}
        for completion in folder.completions.read():
            name = completion.candidate_id
            yield History(
                cycle=folder.number,
                completion=completion,
                candidate=candidates.get(name),
                verdict=verdicts.get(name),
                novelty=novelty.get(name),
            )


def history(run: RunFolder, candidate_id: str) -> History:
    """Return one candidate's history.

    Raises:
        ConfigError: the run has no such candidate.
    """
    for found in histories(run):
        if found.candidate_id == candidate_id:
            return found
    raise ConfigError(f"{run.path}: has no candidate {candidate_id}; `orchestrate audit list` names them")
