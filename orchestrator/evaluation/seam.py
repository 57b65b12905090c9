"""The three places where a run can be given something other than the real thing, one method each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from orchestrator.records import Evaluation


@dataclass(frozen=True)
class Submission:
    """One program to evaluate: `source` is the text as written, or None if a completion held no code."""

    candidate_id: str
    source: bytes | None


class Evaluator(Protocol):
    """Parses, runs and grades programs in containers."""

    def evaluate(self, submissions: Iterable[Submission]) -> Iterator[Evaluation]:
        """Yield one evaluation for each submission, in the order of submission, whatever order they finish in.

        `submissions` may be a generator that blocks: evaluation of the first begins before the last is known.

        Raises:
            InfrastructureError: the engine, an image or the disk failed; no verdict is given for what was under way.
        """
        ...
