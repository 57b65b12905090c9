"""A number that was estimated from observations, with its 95 % interval and the n behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.records import Interval
from orchestrator.run import statistics


@dataclass(frozen=True)
class Estimate:
    """A share or a mean accuracy, as a fraction; None if nothing was observed.

    A value has no interval only if it is the mean of a single observation. The interval of a mean of equal values
    has no width, and says nothing about where the mean lies.
    """

    value: float | None
    interval: Interval | None = None

    @property
    def text(self) -> str:
        """The number in per cent, its interval and n; one observation has a mean and no interval, nor have equal ones.

        What of an interval lies below 0 or above 100 %, as Student's may for few cycles, is not shown.
        """
        if self.value is None:
            return "-"
        if self.interval is None:
            return f"{percent(self.value)} n=1"
        if not self.has_width:
            return f"{percent(self.value)} (all equal) n={self.interval.n:,}"
        low, high = 100 * max(0.0, self.interval.low), 100 * min(1.0, self.interval.high)
        return f"{percent(self.value)} [{low:.1f}, {high:.1f}] n={self.interval.n:,}"

    @property
    def has_width(self) -> bool:
        """Whether there is an interval that tells anything."""
        return self.interval is not None and self.interval.low < self.interval.high

    def disjoint(self, other: Estimate) -> bool | None:
        """Whether the two intervals share no point; None if either is not known or has no width."""
        if self.interval is None or other.interval is None or not (self.has_width and other.has_width):
            return None
        return self.interval.high < other.interval.low or other.interval.high < self.interval.low

    def plain(self) -> dict[str, Any]:
        """Return the estimate as plain data."""
        return {"value": self.value, "interval": None if self.interval is None else self.interval.model_dump()}


def share(part: int, whole: int) -> Estimate:
    """Return `part` of `whole` with Wilson's interval (paper, Appendix K)."""
    return Estimate(statistics.rate(part, whole), statistics.wilson(part, whole))


def average(values: Sequence[float]) -> Estimate:
    """Return the mean of `values` with Student's t interval (paper, Appendix K)."""
    return Estimate(statistics.mean(values), statistics.t_interval(values))


def bound(value: float) -> str:
    """Return a fraction that somebody chose, as a threshold, in per cent and with all its digits."""
    return f"{100 * value:.10g}%"


def percent(value: float | None) -> str:
    """Return a fraction in per cent; a dash if there is none."""
    return "-" if value is None else f"{100 * value:.1f}%"
