"""The candidates of one or more complete cycles, taken together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.records import CycleSummary
from orchestrator.report.estimate import Estimate, average, share
from orchestrator.run import statistics
from orchestrator.run.history import History


@dataclass(frozen=True)
class Pool:
    """Counts and accuracies of some cycles; `above` is None if no threshold was reported.

    `tried` leaves out quarantined candidates. `novel` counts those above the threshold whose nearest neighbours, in
    the corpus and in their cycle, are no near-duplicates, whether or not the run's filter was on; `distinct` counts
    those among the admitted; of these, `equal` are functionally
    equal to an earlier program among the `fingerprinted`, by what candidates claim, and None if no cycle knows.
    `programs` are the different ones among the valid, and `rejections` the near-duplicates that were met before each
    admission, on average; `otherwise` counts those that are near-duplicates by the estimate and not by the exact
    Jaccard index of the same neighbours, or the other way round.
    """

    cycles: tuple[int, ...]
    generated: int
    tried: int
    accuracies: tuple[float, ...]
    above: int | None
    novel: int
    admitted: int
    distinct: int
    equal: int | None
    fingerprinted: int
    programs: int
    rejections: float | None
    otherwise: int

    @property
    def valid_rate(self) -> Estimate:
        """The share of valid candidates."""
        return share(len(self.accuracies), self.tried)

    @property
    def accuracy(self) -> Estimate:
        """The mean first-epoch accuracy of valid candidates."""
        return average(self.accuracies)

    @property
    def above_rate(self) -> Estimate:
        """The share of valid candidates above the threshold."""
        return Estimate(None) if self.above is None else share(self.above, len(self.accuracies))

    @property
    def novel_rate(self) -> Estimate:
        """The share of novel ones among the candidates above the threshold."""
        return Estimate(None) if self.above is None else share(self.novel, self.above)

    @property
    def functional(self) -> str:
        """How many textually novel admissions are functionally equal to an earlier program, of how many known."""
        return "-" if self.equal is None else f"{self.equal} of {self.fingerprinted}"

    @property
    def named(self) -> str:
        """Which cycles these are, in words."""
        first, last = self.cycles[0], self.cycles[-1]
        return f"cycle {first}" if first == last else f"cycles {first} to {last}"

    def plain(self) -> dict[str, Any]:
        """Return the counts and the estimates as plain data."""
        return {
            "cycles": list(self.cycles),
            "generated": self.generated,
            "tried": self.tried,
            "valid": len(self.accuracies),
            "programs": self.programs,
            "valid_rate": self.valid_rate.plain(),
            "accuracy_mean": self.accuracy.plain(),
            "accuracy_best": statistics.best(self.accuracies),
            "accuracy_median": statistics.middle(self.accuracies),
            "above_threshold": self.above,
            "above_rate": self.above_rate.plain(),
            "novel_above_threshold": self.novel,
            "novel_rate": self.novel_rate.plain(),
            "admitted": self.admitted,
            "admitted_novel": self.distinct,
            "rejections_per_admission": self.rejections,
            "functional_duplicates": self.equal,
            "fingerprinted": self.fingerprinted,
            "decided_otherwise_by_exact_index": self.otherwise,
        }


def pooled(summaries: Sequence[CycleSummary], histories: Sequence[History], *, tau: float) -> Pool:
    """Return the candidates of `summaries`' cycles together; `tau` is the run's near-duplicate threshold."""
    cycles = tuple(summary.cycle for summary in summaries)
    wanted = [history for history in histories if history.cycle in cycles]
    thresholds = [summary.threshold for summary in summaries]
    threshold = thresholds[0] if thresholds else None
    known = [one.functional_duplicates for one in summaries if one.functional_duplicates is not None]
    programs = {one.candidate.source for one in wanted if one.candidate is not None and one.accuracy is not None}
    decided = [one.novelty for one in wanted if one.novelty is not None]
    rejections = [one.rejection_count for one in decided]
    novel = [history for history in wanted if is_novel(history, tau=tau)]
    return Pool(
        cycles=cycles,
        generated=sum(summary.generated for summary in summaries),
        tried=sum(summary.generated - summary.states.get("quarantined", 0) for summary in summaries),
        accuracies=tuple(history.accuracy for history in wanted if history.accuracy is not None),
        above=None if threshold is None else sum(summary.above_threshold for summary in summaries),
        novel=0 if threshold is None else sum((history.accuracy or 0.0) > threshold for history in novel),
        admitted=sum(summary.admitted for summary in summaries),
        distinct=sum(history.state == "admitted" for history in novel),
        equal=sum(known) if known else None,
        fingerprinted=sum(summary.fingerprinted or 0 for summary in summaries),
        programs=len(programs),
        rejections=statistics.mean([count for count in rejections if count is not None]),
        otherwise=sum(one.is_novel(tau) != one.is_novel_exactly(tau) for one in decided),
    )


def is_novel(history: History, *, tau: float) -> bool:
    """Whether a valid candidate is no near-duplicate of the corpus or of its cycle, whatever was decided about it."""
    return history.novelty is not None and history.novelty.is_novel(tau)
