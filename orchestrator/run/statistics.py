"""The numbers of a cycle, with the 95 % intervals of the paper's Appendix K and the n behind each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING

from orchestrator.errors import LedgerError
from orchestrator.records import Adapter, Completion, CycleSummary, Interval, Novelty, Verdict

if TYPE_CHECKING:
    from orchestrator.config import Config
    from orchestrator.progress import Guessing
    from orchestrator.run.folder import CycleFolder

CONFIDENCE = 0.95


def wilson(successes: int, n: int) -> Interval | None:
    """Return Wilson's score interval of a proportion; None if nothing was observed."""
    if n == 0:
        return None
    from scipy.stats import binomtest

    interval = binomtest(successes, n).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(low=float(interval.low), high=float(interval.high), n=n)


def t_interval(values: Sequence[float]) -> Interval | None:
    """Return Student's t interval of a mean; None for fewer than two values, which have no spread."""
    deviates, n = deviation(values), len(values)
    if deviates is None:
        return None
    from scipy.stats import t

    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * deviates / math.sqrt(n)
    mean = fmean(values)
    return Interval(low=mean - half, high=mean + half, n=n)


def mean(values: Sequence[float]) -> float | None:
    """Return the arithmetic mean; None of nothing."""
    return fmean(values) if values else None


def middle(values: Sequence[float]) -> float | None:
    """Return the median; None of nothing."""
    return float(median(values)) if values else None


def best(values: Sequence[float]) -> float | None:
    """Return the largest value; None of nothing."""
    return max(values) if values else None


def deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation (n - 1); None for fewer than two values."""
    return stdev(values) if len(values) > 1 else None


def rate(part: int, whole: int) -> float | None:
    """Return `part` of `whole` as a fraction; None of nothing."""
    return part / whole if whole else None


def accuracies(verdicts: Iterable[Verdict]) -> list[float]:
    """Return the first-epoch accuracy of every valid candidate, in order."""
    return [verdict.accuracy for verdict in verdicts if verdict.accuracy is not None]


def terminal_states(*, generated: int, verdicts: Sequence[Verdict], novelty: Sequence[Novelty]) -> dict[str, int]:
    """Return how many completions ended in each terminal state; a valid one ends in what was decided about it.

    Raises:
        LedgerError: a completion without exactly one end; the counts would not add up.
    """
    decisions = {record.candidate_id: record.decision for record in novelty}
    passed = [verdict.candidate_id for verdict in verdicts if verdict.state == "passed"]
    if len(decisions) != len(novelty) or set(decisions) != set(passed) or len(set(passed)) != len(passed):
        raise LedgerError(f"{len(passed)} valid candidates but {len(novelty)} decisions: the ledgers disagree")
    states = Counter(
        decisions[verdict.candidate_id] if verdict.state == "passed" else verdict.state for verdict in verdicts
    )
    if states.total() != generated:
        raise LedgerError(f"{generated} completions but {states.total()} terminal states: the ledgers disagree")
    return dict(sorted(states.items()))


def of_cycle(
    folder: CycleFolder,
    config: Config,
    *,
    corpus: tuple[int, int],
    guessing: Guessing,
    functional: tuple[int | None, int | None] = (None, None),
) -> CycleSummary:
    """Return the numbers of a finished cycle from its ledgers; see `summarise`.

    `corpus` is the number of seeds, and of entries before the cycle.
    """
    seeds, before = corpus
    return summarise(
        cycle=folder.number,
        completions=folder.completions.read(),
        verdicts=folder.verdicts.read(),
        novelty=folder.novelty.read(),
        adapter=next(iter(folder.adapter.read()), None),
        threshold=config.admission.reported,
        corpus=(before, before + len(folder.entries.read())) if config.llm.iterate else (seeds, seeds),
        guessing=(guessing.chance, guessing.majority),
        protocol=config.protocol.hash(),
        functional=functional,
    )


def summarise(  # noqa: PLR0913 - the ledgers of one cycle, and what surrounds it
    *,
    cycle: int,
    completions: Sequence[Completion],
    verdicts: Sequence[Verdict],
    novelty: Sequence[Novelty],
    adapter: Adapter | None,
    threshold: float | None,
    corpus: tuple[int, int],
    guessing: tuple[float, float],
    protocol: str,
    functional: tuple[int | None, int | None] = (None, None),
) -> CycleSummary:
    """Return the numbers of one cycle (paper, Section 3 and Appendix K); quarantined candidates are in no rate.

    `corpus` counts entries before and after, `guessing` is chance and majority class, `functional` what
    `functional_duplicates.counted` returns.

    Raises:
        LedgerError: the counts do not add up to the number of completions.
    """
    states = terminal_states(generated=len(completions), verdicts=verdicts, novelty=novelty)
    scores, tried = accuracies(verdicts), len(completions) - states.get("quarantined", 0)
    judged = [] if threshold is None else [score > threshold for score in scores]
    return CycleSummary(
        cycle=cycle,
        generated=len(completions),
        states=states,
        valid=len(scores),
        valid_rate=rate(len(scores), tried),
        valid_interval=wilson(len(scores), tried),
        accuracy_mean=mean(scores),
        accuracy_median=middle(scores),
        accuracy_best=best(scores),
        accuracy_std=deviation(scores),
        accuracy_interval=t_interval(scores),
        above_threshold=sum(judged),
        above_rate=rate(sum(judged), len(judged)),
        above_interval=wilson(sum(judged), len(judged)),
        admitted=states.get("admitted", 0),
        rejected_duplicates=states.get("duplicate", 0),
        functional_duplicates=functional[0],
        fingerprinted=functional[1],
        corpus_before=corpus[0],
        corpus_after=corpus[1],
        chance=guessing[0],
        majority=guessing[1],
        threshold=threshold,
        protocol=protocol,
        measured=_seconds(completions, verdicts, adapter),
    )


def _seconds(
    completions: Sequence[Completion], verdicts: Sequence[Verdict], adapter: Adapter | None
) -> dict[str, float]:
    """Return the seconds of work by kind: chunks one after the other, evaluations summed over their slots."""
    chunks: dict[int, float] = {}
    for completion in completions:  # each row's seconds count from the beginning of its chunk
        chunks[completion.chunk] = max(chunks.get(completion.chunk, 0.0), completion.measured.seconds)
    seconds = {
        "generate": sum(chunks.values()),
        "evaluate": sum(sum(verdict.measured.seconds.values()) for verdict in verdicts),
    }
    return seconds if adapter is None else {"finetune": adapter.measured.seconds} | seconds
