"""The line of a run's journal: what happened, chained to the line before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, Self

from orchestrator.records.record import Count, Digest, Line, Record, canonical, digest

GENESIS: Digest = "0" * 64


class Event(Line):
    """One event at `at` (UTC); `hash` is the SHA-256 of the canonical JSON of all the rest, `previous` included."""

    kind: Literal["event"] = "event"
    index: Count
    at: str
    event: str
    data: dict[str, Any]
    previous: Digest
    hash: Digest

    def sealed(self) -> Digest:
        """Return the hash that this line must have."""
        return digest(canonical(self.model_dump(mode="json", exclude={"hash"})))


class Occurrence(Record):
    """Something that happened at `at` (UTC) and is yet to be journalled: the name of the event, and its plain data."""

    at: str
    event: str
    data: dict[str, Any]

    @classmethod
    def now(cls, event: str, data: Mapping[str, Any]) -> Self:
        """Return `event` as something that happens at this moment."""
        return cls(at=datetime.now(UTC).isoformat(timespec="milliseconds"), event=event, data=dict(data))


class Recorder(Protocol):
    """Takes one event with plain data; see `Journal.record`."""

    def __call__(self, event: str, data: Mapping[str, Any], *, durable: bool = True) -> None:
        """Record the event."""
        ...


def unrecorded(event: str, data: Mapping[str, Any], *, durable: bool = True) -> None:
    """Take an event and record it nowhere."""
