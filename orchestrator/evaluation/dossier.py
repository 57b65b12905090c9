"""What comes together about one candidate, until it is handed back as a complete evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.records import Candidate, Digest, Evaluation, Occurrence, Verdict, digest


class Dossier:
    """Collects the objects that a candidate's records name, and its events; for one thread at a time."""

    def __init__(self, candidate_id: str) -> None:
        self.candidate_id = candidate_id
        self._objects: dict[Digest, bytes] = {}
        self._events: list[Occurrence] = []

    def put(self, content: bytes) -> Digest:
        """Keep `content` and return the name by which a record refers to it."""
        name = digest(content)
        self._objects[name] = content
        return name

    def note(self, event: str, data: Mapping[str, Any]) -> None:
        """Note that `event` happens to the candidate now."""
        self.add(Occurrence.now(event, {"candidate_id": self.candidate_id, **data}))

    def add(self, occurrence: Occurrence) -> None:
        """Note something that happened before, as the start of the candidate's container."""
        self._events.append(occurrence)

    def closed(self, candidate: Candidate, verdict: Verdict) -> Evaluation:
        """Return the evaluation with all that was collected."""
        return Evaluation(candidate=candidate, verdict=verdict, objects=dict(self._objects), events=tuple(self._events))
