"""Novelty decisions, and the lines of the corpus."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer

from orchestrator.records.generation import Message
from orchestrator.records.record import Count, Digest, Fraction, Line, Record
from orchestrator.records.states import Decision


class Neighbour(Record):
    """The nearest earlier program: the MinHash estimate decides, the exact Jaccard index stands beside it."""

    entry_id: str
    estimate: Fraction
    exact: Fraction


def novel(near: Iterable[Neighbour | None], *, tau: float) -> bool:
    """Whether none of `near` is nearer than `tau` by its estimate."""
    return all(one is None or one.estimate <= tau for one in near)


class Novelty(Line):
    """What became of one valid candidate, with its nearest neighbours in the corpus and in its own cycle."""

    kind: Literal["novelty"] = "novelty"
    candidate_id: str
    accuracy: Fraction
    train: Neighbour | None
    generation: Neighbour | None
    decision: Decision
    rejection_count: Count | None = None

    def is_novel(self, tau: float) -> bool:
        """Whether no neighbour is nearer than `tau` by its estimate, whatever was decided about the candidate."""
        return novel((self.train, self.generation), tau=tau)

    def is_novel_exactly(self, tau: float) -> bool:
        """Whether the same neighbours are no nearer than `tau` by their exact Jaccard index."""
        return all(near is None or near.exact <= tau for near in (self.train, self.generation))


class Entry(Line):
    """One line of the corpus: a chat pair with where its program came from and how it scored.

    `fingerprint` is what a seed claimed when it was qualified, if it was; an admitted program's is in its verdict.
    """

    kind: Literal["entry"] = "entry"
    entry_id: str
    origin: str
    task: str
    source: Digest
    shingles: Digest
    accuracy: Fraction | None
    protocol: Digest | None
    messages: tuple[Message, ...]
    fingerprint: Digest | None = None

    @model_serializer(mode="wrap")
    def _plain(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave an unknown fingerprint out: a corpus from before there were any keeps its digest."""
        found: dict[str, Any] = plain(self)
        if self.fingerprint is None:
            found.pop("fingerprint", None)
        return found
