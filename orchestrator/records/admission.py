"""The one rule that admits valid candidates: the loop decides by it, and a check of the run repeats it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from orchestrator.records.corpus import Neighbour, novel
from orchestrator.records.states import Decision


class Tally(NamedTuple):
    """What a cycle decided so far: its admissions, and the duplicates since the last of them."""

    admitted: int = 0
    rejected: int = 0

    def after(self, decision: Decision) -> Tally:
        """Return the tally with one more decision in it."""
        if decision == "admitted":
            return Tally(admitted=self.admitted + 1)
        return self._replace(rejected=self.rejected + 1) if decision == "duplicate" else self


class Rule(NamedTuple):
    """What a cycle asks of a valid candidate (paper, Section 3 and Appendix A); None asks for nothing.

    Its accuracy must be above `threshold`, and no neighbour nearer than `tau`. All that come after `target` admissions
    are surplus.
    """

    threshold: float | None
    tau: float | None
    target: int | None

    def decide(self, tally: Tally, *, accuracy: float, near: Iterable[Neighbour | None]) -> Decision:
        """Return what becomes of the next valid candidate after what `tally` counts."""
        if self.target is not None and tally.admitted >= self.target:
            return "surplus"
        if self.threshold is not None and accuracy <= self.threshold:
            return "below_threshold"
        return "admitted" if self.tau is None or novel(near, tau=self.tau) else "duplicate"
