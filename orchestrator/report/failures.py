"""Why candidates of a run failed, by stage and cause."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.records import STAGES
from orchestrator.run.history import History

NUMBER = re.compile(r"\d+")
CAUSE = 120  # characters that causes are told apart by


@dataclass(frozen=True)
class Failure:
    """How many candidates ended in this state at this stage for this cause, which has # for every number."""

    stage: str
    state: str
    cause: str
    count: int

    def plain(self) -> dict[str, Any]:
        """Return the failure as plain data."""
        return {"stage": self.stage, "state": self.state, "cause": self.cause, "count": self.count}


def failures(histories: Iterable[History]) -> tuple[Failure, ...]:
    """Count the candidates that failed by themselves, in the order of the stages, the most frequent first."""
    found: Counter[tuple[str, str, str]] = Counter()
    for history in histories:
        verdict = history.verdict
        if verdict is not None and verdict.state not in {"passed", "quarantined"}:
            found[verdict.stage, verdict.state, _kind(verdict.cause or "")] += 1
    order: dict[str, int] = {stage: place for place, stage in enumerate(STAGES)}
    counted = [Failure(*key, count) for key, count in found.items()]
    return tuple(sorted(counted, key=lambda one: (order[one.stage], -one.count, one.state, one.cause)))


def by_state(found: Sequence[Failure]) -> dict[tuple[str, str], int]:
    """Return the number of failures by stage and state, in the order of the stages."""
    counts: dict[tuple[str, str], int] = {}
    for one in found:
        counts[one.stage, one.state] = counts.get((one.stage, one.state), 0) + one.count
    return counts


def _kind(cause: str) -> str:
    """Return `cause` as causes are grouped: two that differ in numbers only are one."""
    kind = NUMBER.sub("#", cause)
    return kind if len(kind) <= CAUSE else kind[: CAUSE - 1] + "…"
