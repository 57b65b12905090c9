"""The account of how a corpus was curated: what each stage kept, and why it dropped each of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Drop:
    """One record that a stage dropped, and why; `reason` is one of few, `detail` names what it met."""

    name: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Stage:
    """One step of curation: `kept` and the drops add up to what the stage before kept, where it only drops."""

    name: str
    kept: int
    drops: tuple[Drop, ...] = ()

    @property
    def reasons(self) -> dict[str, int]:
        """The number of drops by reason, the most frequent first."""
        return dict(Counter(drop.reason for drop in self.drops).most_common())

    def as_json(self) -> dict[str, Any]:
        """Return the stage with every drop, for a ledger or a report."""
        drops = [{"name": drop.name, "reason": drop.reason, "detail": drop.detail} for drop in self.drops]
        return {"stage": self.name, "kept": self.kept, "dropped": len(drops), "reasons": self.reasons, "drops": drops}


def sift(name: str, items: Iterable[T], why: Callable[[T], Drop | None]) -> tuple[list[T], Stage]:
    """Return the items that `why` gives no reason to drop, and the account of it."""
    kept: list[T] = []
    drops: list[Drop] = []
    for item in items:
        drop = why(item)
        if drop is None:
            kept.append(item)
        else:
            drops.append(drop)
    return kept, Stage(name=name, kept=len(kept), drops=tuple(drops))


def table(stages: Sequence[Stage]) -> list[tuple[str, int, int, str]]:
    """Return one row a stage: its name, the number kept, the number dropped, and the reasons with their numbers."""
    return [
        (
            stage.name,
            stage.kept,
            len(stage.drops),
            "; ".join(f"{reason} {count:,}" for reason, count in stage.reasons.items()),
        )
        for stage in stages
    ]
