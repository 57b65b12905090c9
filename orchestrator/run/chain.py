"""What a run's journal says of the run's files: its chain, read back and added up."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from orchestrator.errors import LedgerError, issues
from orchestrator.records import GENESIS, Digest, Event, canonical, digest
from orchestrator.run.disk import read_lines

JOURNAL = "audit.jsonl"
LEDGER_EVENTS = frozenset(
    ("entry", "provenance", "adapter", "completion", "candidate", "verdict", "novelty", "summary", "end")
)


class Noted(NamedTuple):
    """The digest of one ledger line, and the number of the journal's line that has it."""

    digest: Digest
    line: int


class Found(NamedTuple):
    """A whole line of a ledger that the journal does not have; `number` counts from 1."""

    path: Path
    number: int
    line: bytes


@dataclass
class Account:
    """What the events of a journal come to; feed them in order.

    `configs` holds the digests of config.json in the order in which they were announced, `weights` the digests of
    the files of each adapter folder, `pruned` the objects that a policy dropped, `without_weights` the adapter folders
    that were, and `key` a commitment to the run's secret.
    """

    index: int = 0
    head: Digest = GENESIS
    ledgers: dict[str, list[Noted]] = field(default_factory=dict)
    configs: list[Digest] = field(default_factory=list)
    weights: dict[str, dict[str, Digest]] = field(default_factory=dict)
    pruned: set[Digest] = field(default_factory=set)
    without_weights: set[str] = field(default_factory=set)
    key: Digest | None = None
    finished: bool = False
    reconciled: int = 0
    dropped: int = 0

    def take(self, event: Event) -> None:
        """Add one event.

        Raises:
            LedgerError: it contradicts the events before it.
        """
        data = event.data
        if event.event in LEDGER_EVENTS:
            self._line(event)
        elif event.event == "drop" and data["ledger"] != JOURNAL:
            lines = self.ledgers.setdefault(data["ledger"], [])
            self.dropped += len(lines[data["kept"] :])
            del lines[data["kept"] :]
            self.finished = False
        elif event.event in {"begun", "resumed", "config"}:
            self.configs.append(data["config"])
        elif event.event == "weights":
            self.weights[data["folder"]] = data["files"]
            self.without_weights.discard(data["folder"])
        elif event.event == "prune":
            self.pruned.update(data.get("objects", ()))
            self.without_weights.update(data.get("adapters", ()))
        elif event.event == "key":
            self.key = data["commitment"]
        elif event.event == "finished":
            self.finished = True
        self.index, self.head = event.index + 1, event.hash

    def knows_weights(self, folder: str) -> bool:
        """Whether the journal says what became of the adapter in `folder`: its files, or that it was dropped."""
        return folder in self.weights or folder in self.without_weights

    def _line(self, event: Event) -> None:
        data = event.data
        lines = self.ledgers.setdefault(data["ledger"], [])
        if data["line"] != len(lines) + 1:
            raise LedgerError(
                f"{JOURNAL}, line {event.index + 1}: has line {data['line']} of {data['ledger']} after"
                f" line {len(lines)}"
            )
        lines.append(Noted(data["sha256"], event.index + 1))
        self.reconciled += bool(data.get("reconciled"))
        self.finished = False


def read_chain(path: Path) -> tuple[list[Event], int]:
    """Return the events of the journal at `path`, every link checked, and the bytes of a torn last line behind them.

    Raises:
        LedgerError: a line that is no event, was changed, or does not follow the one before; it names the line.
    """
    lines = read_lines(path)
    events: list[Event] = []
    head = GENESIS
    for number, line in enumerate(lines.whole, start=1):
        where = f"{path}, line {number}"
        try:
            plain: Any = json.loads(line)
            event = Event.model_validate(plain)
            rest = {key: value for key, value in plain.items() if key != "hash"}
            unchanged = canonical(plain) == line and digest(canonical(rest)) == event.hash
        except (ValueError, RecursionError) as error:
            detail = next(issues(error)) if isinstance(error, ValidationError) else str(error)
            raise LedgerError(f"{where}: not an event: {detail}") from error
        if not unchanged:
            raise LedgerError(f"{where}: was changed: its content no longer has the hash that it states")
        if event.index != number - 1 or event.previous != head:
            raise LedgerError(f"{where}: does not follow the line before it: lines are missing, or were moved")
        events.append(event)
        head = event.hash
    return events, len(lines.torn)


def added_up(events: Iterable[Event], *, path: Path) -> Account:
    """Return what `events` of the journal at `path` come to; raise LedgerError if they contradict each other."""
    account = Account()
    for event in events:
        try:
            account.take(event)
        except (KeyError, TypeError, ValueError) as error:
            where = f"{path}, line {event.index + 1}"
            raise LedgerError(f"{where}: the event {event.event!r} lacks what it must say: {error!r}") from error
    return account


def compared(folder: Path, ledgers: Sequence[Path], account: Account) -> list[Found]:
    """Compare every ledger of the run in `folder` with its account, and return the whole lines that it lacks.

    Raises:
        LedgerError: a line that the journal has is missing or is another one; the message names file and line.
    """
    found = []
    paths = dict.fromkeys([*ledgers, *(folder / name for name in sorted(account.ledgers))])
    for path in paths:
        lines = read_lines(path).whole
        noted = account.ledgers.get(name_in(folder, path), [])
        for number, (line, known) in enumerate(zip(lines, noted, strict=False), start=1):
            if digest(line) != known.digest:
                raise LedgerError(
                    f"{path}, line {number}: was changed: it is not the line that {JOURNAL}, line {known.line}, has"
                )
        if len(lines) < len(noted):
            known = noted[len(lines)]
            raise LedgerError(f"{path}, line {len(lines) + 1}: is missing; {JOURNAL}, line {known.line}, has it")
        found += [Found(path, number, lines[number - 1]) for number in range(len(noted) + 1, len(lines) + 1)]
    return found


def commitment(key: bytes) -> Digest:
    """Return what a journal may know of a run's key: it tells two keys apart and reveals neither."""
    return hmac.digest(key, b"journal", "sha256").hex()


def name_in(folder: Path, path: Path) -> str:
    """Return how the journal of the run in `folder` calls the file at `path`."""
    return path.relative_to(folder).as_posix()


PLACES = {
    "candidate": ("source", "program.runs", "program.shingles"),
    "verdict": ("predictions", "environment", "measured.stdout", "measured.stderr"),
    "entry": ("source", "shingles"),
    "provenance": ("prompt",),
}


def references(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of the objects that a ledger's line, as plain data, refers to, by the name of their field."""
    found = {}
    for place in PLACES.get(str(record.get("kind")), ()):
        value: Any = record
        for part in place.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, str):
            found[place.rpartition(".")[2]] = value
    return found
