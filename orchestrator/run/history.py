"""Reads a run's ledgers back as one line of history for each candidate."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigError
from orchestrator.progress import Guessing
from orchestrator.records import Candidate, Completion, Digest, Neighbour, Novelty, Verdict
from orchestrator.records.candidate import candidate_id
from orchestrator.run.chain import JOURNAL
from orchestrator.run.disk import read_lines
from orchestrator.run.folder import RunFolder


@dataclass(frozen=True)
class History:
    """Everything that the ledgers say of one candidate, as far as it got, and when the journal dates its verdict."""

    cycle: int
    completion: Completion
    candidate: Candidate | None
    verdict: Verdict | None
    novelty: Novelty | None
    at: datetime | None = None

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

    @property
    def seconds(self) -> float | None:
        """How long its container was evaluated, on the host's clock; None if nothing was executed."""
        spent = None if self.verdict is None else self.verdict.measured.seconds
        return sum(spent.values()) if spent else None

    @property
    def neighbours(self) -> Mapping[str, Neighbour]:
        """The nearest earlier programs: in the corpus, and in its own cycle."""
        if self.novelty is None:
            return {}
        near = {"corpus": self.novelty.train, "cycle": self.novelty.generation}
        return {where: one for where, one in near.items() if one is not None}

    @property
    def nearest(self) -> Neighbour | None:
        """The nearest neighbour of all, by the estimated Jaccard index."""
        return max(self.neighbours.values(), key=lambda one: one.estimate, default=None)

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
            "at": None if self.at is None else self.at.isoformat(),
            "source": None if self.candidate is None else self.candidate.source,
            "claimed": None if verdict is None else verdict.claimed.model_dump(mode="json"),
            "measured": None if verdict is None else verdict.measured.model_dump(mode="json"),
            "novelty": None if self.novelty is None else self.novelty.model_dump(mode="json"),
        }


COMPARED = 1000  # lines of each program
OFFERED = 5  # names of candidates in one message
SHORT = re.compile(r"(?:c?0*(?P<cycle>[1-9]\d*)-)?0*(?P<index>\d+)", re.ASCII)

Bounds = tuple[float | None, float | None]


@dataclass(frozen=True)
class Filter:
    """Which candidates are wanted; None wants all. Bounds are inclusive; `until` is not, and times are UTC."""

    cycle: int | None = None
    state: str | None = None
    stage: str | None = None
    cause: str | None = None
    accuracy: Bounds = (None, None)
    seconds: Bounds = (None, None)
    since: datetime | None = None
    until: datetime | None = None

    def wants(self, history: History) -> bool:
        """Whether `history` passes every part of the filter; what has no such value passes no bound on it."""
        verdict, at = history.verdict, history.at
        checks: list[tuple[object, Callable[[], bool]]] = [
            (self.cycle, lambda: history.cycle == self.cycle),
            (self.state, lambda: history.state == self.state),
            (self.stage, lambda: verdict is not None and verdict.stage == self.stage),
            (self.cause, lambda: verdict is not None and (self.cause or "").lower() in (verdict.cause or "").lower()),
            (self.since, lambda: at is not None and self.since is not None and at >= self.since),
            (self.until, lambda: at is not None and self.until is not None and at < self.until),
        ]
        bounded = _within(history.accuracy, self.accuracy) and _within(history.seconds, self.seconds)
        return bounded and all(wanted is None or passes() for wanted, passes in checks)


def ordered(found: Sequence[History], *, by: str) -> list[History]:
    """Return `found` in candidate order, or by `accuracy` or `seconds` from the highest down, those without last."""
    if by == "id":
        return list(found)
    keys = [history.accuracy if by == "accuracy" else history.seconds for history in found]
    order = sorted(range(len(found)), key=lambda position: _descending(keys[position]))
    return [found[position] for position in order]


def _within(value: float | None, bounds: Bounds) -> bool:
    least, most = bounds
    if value is None:
        return least is None and most is None
    return (least is None or value >= least) and (most is None or value <= most)


def _descending(value: float | None) -> tuple[bool, float]:
    return (value is None, -(value or 0.0))


def histories(run: RunFolder) -> Iterator[History]:
    """Yield every candidate of every cycle, in candidate order."""
    times = verdict_times(run.path)
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
                at=times.get(name),
            )


def history(run: RunFolder, wanted: str) -> History:
    """Return the history of the candidate that `wanted` names: in full, as c001-0027, or in short.

    c1-27 is the same one, and 27 as well if no other cycle has as many.

    Raises:
        ConfigError: no candidate of the run fits, or more than one.
    """
    every = list(histories(run))
    for fits in (str.__eq__, _numbered):
        found = [one for one in every if fits(one.candidate_id, wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            first = ", ".join(one.candidate_id for one in found[:OFFERED])
            more = f" and {len(found) - OFFERED} more" if len(found) > OFFERED else ""
            raise ConfigError(f"{run.path}: {wanted} could be {first}{more}: write one of them")
    raise ConfigError(
        f"{run.path}: has no candidate {wanted}; `orchestrate audit list {run.name}` names all {len(every)}, such as"
        f" {candidate_id(1, 0)}"
    )


def _numbered(name: str, wanted: str) -> bool:
    """Whether `wanted` gives the number of the candidate `name` in its cycle, with or without the cycle."""
    short, full = SHORT.fullmatch(wanted), SHORT.fullmatch(name)
    if short is None or full is None:
        return False
    return short["index"] == full["index"] and short["cycle"] in {None, full["cycle"]}


def difference(run: RunFolder, history: History, neighbour: str) -> list[str]:
    """Return the unified diff from the program of `neighbour` to the candidate's own, both as they were written.

    Of each only the first 1,000 lines are compared: these are texts that may be made to be slow to compare. Empty
    if either has no program.
    """
    from difflib import unified_diff

    source = None if history.candidate is None else history.candidate.source
    other = _source(run, neighbour)
    if source is None or other is None:
        return []
    before, after = (
        run.store.get(name).decode(errors="backslashreplace").split("\n")[:COMPARED] for name in (other, source)
    )
    return list(unified_diff(before, after, neighbour, history.candidate_id, lineterm=""))


def _source(run: RunFolder, name: str) -> Digest | None:
    """Return the source of a candidate or of a corpus entry."""
    for folder in run.cycles():
        for candidate in folder.candidates.read():
            if candidate.candidate_id == name:
                return candidate.source
    return next((entry.source for entry in run.corpus.read() if entry.entry_id == name), None)


def guessing(run: RunFolder) -> Guessing | None:
    """Return what every accuracy of a run is to be compared with; None before its first whole cycle."""
    summaries = (one for folder in run.cycles() for one in folder.summary.read())
    first = next(summaries, None)
    return None if first is None else Guessing(chance=first.chance, majority=first.majority)


def bracketed(guess: Guessing | None) -> str:
    """Return in brackets what is to stand behind an accuracy."""
    return "" if guess is None else f" ({guess.text})"


def verdict_times(folder: Path) -> dict[str, datetime]:
    """Return when each candidate's verdict was journalled (UTC); empty if the run has no journal."""
    return {str(data["candidate_id"]): at for at, data in _events(folder, "verdict") if "candidate_id" in data}


def pruned(folder: Path) -> dict[Digest, datetime]:
    """Return when each object was dropped that the journal says was pruned."""
    return {name: at for at, data in _events(folder, "prune") for name in data.get("objects", ())}


def _events(folder: Path, name: str) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """Yield time and data of each event of that name; what is torn or damaged is the business of `audit verify`."""
    marker = f'"event":"{name}"'.encode()
    for line in read_lines(folder / JOURNAL).whole:
        if marker in line:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                event = json.loads(line)
                yield datetime.fromisoformat(event["at"]), event["data"]
