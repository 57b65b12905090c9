"""The account of how a corpus was curated: what each stage kept, and why it dropped each of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
PAPER = {"best rows": 109_913, "near-duplicates": 1_065, "train split": 849, "chat pairs": 1_698}  # Appendix B


@dataclass(frozen=True)
class Drop:
    """One record that a stage dropped, and why; `reason` is one of few, `detail` names what it met.

    `representative` is the record that stands for the dropped one from here on, where one does.
    """

    name: str
    reason: str
    detail: str = ""
    representative: str | None = None


@dataclass(frozen=True)
class Stage:
    """One step of curation: `kept` and what was dropped add up to what the stage before kept, if it only drops.

    `unnamed` counts drops that have no name of their own, by reason.
    """

    name: str
    kept: int
    drops: tuple[Drop, ...] = ()
    unnamed: tuple[tuple[str, int], ...] = ()

    @property
    def dropped(self) -> int:
        """The number of records that the stage dropped, named or not."""
        return sum(self.reasons.values())

    @property
    def reasons(self) -> dict[str, int]:
        """The number of drops by reason, the most frequent first."""
        return dict((Counter(drop.reason for drop in self.drops) + Counter(dict(self.unnamed))).most_common())

    @property
    def clusters(self) -> dict[str, list[str]]:
        """The names that each representative stands for beside its own."""
        found: dict[str, list[str]] = {}
        for drop in self.drops:
            if drop.representative is not None:
                found.setdefault(drop.representative, []).append(drop.name)
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the stage with every drop, for a ledger or a report; beside it what the paper counts there."""
        drops = [{"name": drop.name, "reason": drop.reason, "detail": drop.detail} for drop in self.drops]
        return {
            "stage": self.name,
            "kept": self.kept,
            "paper": PAPER.get(self.name),
            "dropped": self.dropped,
            "reasons": self.reasons,
            "clusters": self.clusters,
            "drops": drops,
        }


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


def table(report: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, int, int | None, str]]:
    """Return one row for each stage of a report (`Stage.as_json`, which stages.json holds too).

    A row is the stage's name, how many it kept and dropped, what the paper kept, and the reasons counted.
    """
    return [
        (
            stage["stage"],
            stage["kept"],
            stage["dropped"],
            stage["paper"],
            "; ".join(f"{reason} {count:,}" for reason, count in stage["reasons"].items()),
        )
        for stage in report
    ]


def summed_up(stages: Sequence[Stage]) -> str:
    """Return in one line what a curation kept, and how many records each stage dropped that dropped any."""
    dropped = ", ".join(f"{stage.name} {stage.dropped:,}" for stage in stages if stage.dropped)
    return f"corpus: {stages[-1].kept if stages else 0:,} chat pairs; dropped: {dropped or 'nothing'}"
