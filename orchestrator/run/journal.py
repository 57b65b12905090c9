"""The tamper-evident journal of a run: every event is one line, with its own hash and that of the line before."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import LedgerError
from orchestrator.progress import Report, silent
from orchestrator.records import GENESIS, Digest, Event, Occurrence, canonical, digest
from orchestrator.run.chain import JOURNAL, Account, added_up, compared, name_in, read_chain, references
from orchestrator.run.disk import append

BRIEF = (
    "candidate_id",
    "entry_id",
    "cycle",
    "state",
    "stage",
    "cause",
    "accuracy",
    "decision",
    "generated",
    "admitted",
    "records",
)


class Journal:
    """The journal in a run's `folder`, open for writing by the one process that holds the run's lock, in any thread.

    A ledger is written first, then its lines are journalled, so a kill between the two leaves lines that
    `reconcile` journals afterwards. Whoever can write the whole folder can write a consistent other history: only a
    head that is kept elsewhere shows that.

    Raises:
        LedgerError: the journal is damaged; the message names the line.
    """

    def __init__(self, folder: Path, *, report: Report = silent) -> None:
        self.path = folder / JOURNAL
        self._folder = folder
        self._lock = threading.Lock()
        self._opening: list[Occurrence] = []
        events, self._torn = read_chain(self.path)
        self.account: Account = added_up(events, path=self.path)
        self._size = sum(len(_encoded(event)) for event in events)
        if self._torn:
            why = f"a torn last line of {self._torn} bytes"
            report(f"{self.path}: dropped {why}")
            self._opening = [Occurrence.now("drop", {"ledger": JOURNAL, "kept": len(events), "why": why})]

    @property
    def head(self) -> Digest:
        """The hash of the last line; all zeros if there is none."""
        return self.account.head

    @property
    def empty(self) -> bool:
        """Whether nothing has been journalled yet."""
        return self.head == GENESIS

    def opening(self, event: str, data: Mapping[str, Any]) -> None:
        """Record `event` ahead of the next one, so that a program that finds nothing to do leaves no line."""
        with self._lock:
            self._opening.append(Occurrence.now(event, data))

    def record(self, event: str, data: Mapping[str, Any], *, durable: bool = True) -> None:
        """Record that `event` happened, with JSON `data` that holds no secret; it is on the disk when this returns.

        What is not `durable` survives a kill of this process, and becomes durable with the next event that is. The
        event `prune` names the objects that it drops in `data["objects"]`, a list of digests, or adapter folders in
        `data["adapters"]`, relative to the run's.

        Raises:
            InfrastructureError: the disk refused it; nothing of it stays.
        """
        self._extend([Occurrence.now(event, data)], durable=durable)

    def record_all(self, occurrences: Sequence[Occurrence]) -> None:
        """Record what happened earlier, at the times that it states; all of it is on the disk when this returns.

        Raises:
            InfrastructureError: the disk refused it; nothing of it stays.
        """
        if occurrences:
            self._extend(occurrences, durable=True)

    def wrote(self, path: Path, *, first: int, lines: Sequence[bytes]) -> None:
        """Record lines that a ledger has written; see `ledger.Witness`."""
        self._extend([self._line(path, number, line) for number, line in enumerate(lines, start=first)], durable=True)

    def drops(self, path: Path, *, kept: int, why: str) -> None:
        """Record that a ledger is about to drop lines: a kill before it does leaves lines that are reconciled."""
        self.record("drop", {"ledger": name_in(self._folder, path), "kept": kept, "why": why})

    def reconcile(self, ledgers: Iterable[Path]) -> int:
        """Record the lines of `ledgers` that a kill kept out of the journal, and return how many these were.

        Raises:
            LedgerError: a ledger lacks a line that the journal has, or has another one; it names file and line.
        """
        missed = compared(self._folder, list(ledgers), self.account)
        events = []
        for path, number, line in missed:
            noted = self._line(path, number, line)
            events.append(noted.model_copy(update={"data": noted.data | {"reconciled": True}}))
        if missed or self._torn:
            self._extend(events, durable=True)
        return len(missed)

    def _line(self, path: Path, number: int, line: bytes) -> Occurrence:
        try:
            plain = json.loads(line)
            kind = str(plain["kind"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise LedgerError(f"{path}, line {number}: not a record: {error}") from error
        data: dict[str, Any] = {"ledger": name_in(self._folder, path), "line": number, "sha256": digest(line)}
        data |= {key: plain[key] for key in BRIEF if plain.get(key) is not None}
        objects = references(plain)
        return Occurrence.now(kind, data | ({"objects": objects} if objects else {}))

    def _extend(self, occurrences: Sequence[Occurrence], *, durable: bool) -> None:
        with self._lock:
            sealed: list[Event] = []
            index, previous = self.account.index, self.head
            for occurrence in [*self._opening, *occurrences]:
                sealed.append(_sealed(occurrence, index=index, previous=previous))
                index, previous = index + 1, sealed[-1].hash
            content = b"".join(_encoded(event) for event in sealed)
            append(self.path, content, after=self._size, durable=durable)
            self._size += len(content)
            self._opening, self._torn = [], 0
            for event in sealed:
                self.account.take(event)


def _sealed(what: Occurrence, *, index: int, previous: Digest) -> Event:
    event = Event(index=index, at=what.at, event=what.event, data=what.data, previous=previous, hash=GENESIS)
    return event.model_copy(update={"hash": event.sealed()})


def _encoded(event: Event) -> bytes:
    return canonical(event.model_dump(mode="json")) + b"\n"
