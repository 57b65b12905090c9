"""What a row's times come to: medians, ranges, ratios, whether its goals are met, and the one table of all rows."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

RISES = ("tokens/s", "verdicts/min")  # units of which more is better; of all others less is
DECISIVE = ("cpu", "cores", "python", "packages")  # what of a machine makes a record of another one of no use here
HEAD = ("row", "against", "ours", "peer", "ratio", "goal", "", "limit and notes")


@dataclass(frozen=True)
class Goal:
    """What a ratio must be: `at most` bounds ours / peer, `at least` bounds how many times better ours is."""

    kind: Literal["at most", "at least", "reported"]
    factor: float = 0.0

    def text(self) -> str:
        """Return the goal in words."""
        return self.kind if self.kind == "reported" else f"{self.kind} {self.factor:g}x"

    def ratio(self, ours: float, peer: float, *, unit: str) -> float:
        """Return the number that the goal bounds."""
        times_better = ours / peer if unit in RISES else peer / ours
        return 1.0 / times_better if self.kind == "at most" else times_better

    def met(self, ratio: float) -> bool | None:
        """Say whether `ratio` meets the goal; None where there is nothing to meet."""
        if self.kind == "reported":
            return None
        return ratio <= self.factor if self.kind == "at most" else ratio >= self.factor


@dataclass(frozen=True)
class Comparison:
    """One line of the table: the side `ours` against the best of the sides `peers`, by their medians."""

    against: str
    ours: str
    peers: tuple[str, ...]
    goal: Goal


@dataclass(frozen=True)
class Sample:
    """One run of one side: the value in the row's unit, and whatever else it wants to be kept."""

    value: float
    details: Mapping[str, Any]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return all values with their median and range."""
    return {
        "values": list(values),
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
    }


def compare(comparison: Comparison, sides: Mapping[str, Mapping[str, Any]], *, unit: str) -> dict[str, Any]:
    """Return one comparison's ratio of medians and whether it meets its goal; `sides` are spreads by name."""
    medians = {name: sides[name]["median"] for name in comparison.peers}
    best = (max if unit in RISES else min)(medians, key=lambda name: medians[name])
    ours, peer = sides[comparison.ours], sides[best]
    ratio = comparison.goal.ratio(ours["median"], peer["median"], unit=unit)
    return {
        "against": comparison.against,
        "ours": comparison.ours,
        "peer": best,
        "ratio": ratio,
        "goal": comparison.goal.text(),
        "met": comparison.goal.met(ratio),
    }


def settled(record: Mapping[str, Any] | None, *, revision: str, machine: Mapping[str, Any]) -> bool:
    """Say whether a stored record spares a measurement: it is of the same code, processor and packages."""
    if record is None or record["revision"] != revision:
        return False
    return all(record["machine"].get(name) == machine[name] for name in DECISIVE)


def lines(record: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the table's lines of one row's record."""
    found: list[tuple[str, ...]] = []
    for number, one in enumerate(record["comparisons"]):
        met = {None: "", True: "met", False: "MISSED"}[one["met"]]
        found.append(
            (
                record["row"] + ("*" if record["quick"] else "") if number == 0 else "",
                one["against"],
                quantity(record["sides"][one["ours"]], record["unit"]),
                quantity(record["sides"][one["peer"]], record["unit"]),
                f"{one['ratio']:.3g}",
                one["goal"],
                met,
                "; ".join(record["notes"]) if number == 0 else "",
            )
        )
    return found


def quantity(side: Mapping[str, Any], unit: str) -> str:
    """Return a side's median and range as a person reads them."""
    shown = f"{side['median']:.4g} {unit}"
    return shown if len(side["values"]) == 1 else f"{shown} [{side['low']:.4g}, {side['high']:.4g}]"
