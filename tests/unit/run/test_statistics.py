"""Statistics equal their closed forms and are absent where they are not defined."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import LedgerError
from orchestrator.records import (
    Claimed,
    CycleSummary,
    Measured,
    Novelty,
    Verdict,
    digest,
)
from orchestrator.run import statistics
from tests.support.recorded_run import completed

PROTOCOL = digest(b"protocol")


def verdict(index: int, accuracy: float | None, state: str = "failed") -> Verdict:
    return Verdict.model_validate(
        {
            "candidate_id": f"c{index}",
            "state": state if accuracy is None else "passed",
            "stage": "train",
            "cause": None,
            "accuracy": accuracy,
            "predictions": None,
            "protocol": PROTOCOL,
            "environment": PROTOCOL,
            "claimed": Claimed(),
            "measured": Measured(),
        }
    )


def decided(index: int, decision: str) -> Novelty:
    return Novelty.model_validate(
        {"candidate_id": f"c{index}", "accuracy": 0.5, "train": None, "generation": None, "decision": decision}
    )


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_the_closed_form(counts: tuple[int, int]) -> None:
    successes, n = counts
    z = 1.959963984540054
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    interval = statistics.wilson(successes, n)
    assert interval is not None
    assert interval.n == n
    assert interval.low == pytest.approx(max(0.0, centre - half), abs=1e-9)
    assert interval.high == pytest.approx(min(1.0, centre + half), abs=1e-9)


def test_the_papers_first_cycle_has_its_wilson_interval() -> None:
    interval = statistics.wilson(22, 50)  # 44.0 %, Table 3
    assert interval is not None
    assert (interval.low, interval.high) == (pytest.approx(0.3116, abs=1e-4), pytest.approx(0.5769, abs=1e-4))


def test_a_t_interval_equals_the_tabled_quantile() -> None:
    interval = statistics.t_interval([0.2, 0.4, 0.6, 0.8])
    assert interval is not None
    half = 3.182446305 * math.sqrt(0.2 / 3) / 2  # t(0.975, 3) * s / sqrt(n), s^2 = 0.2 / 3
    assert (interval.low, interval.high) == (pytest.approx(0.5 - half), pytest.approx(0.5 + half))
    assert interval.n == 4


def test_nothing_observed_has_no_numbers() -> None:
    assert statistics.wilson(0, 0) is None
    assert statistics.t_interval([]) is None
    assert statistics.t_interval([0.5]) is None
    assert (
        statistics.mean([]),
        statistics.middle([]),
        statistics.best([]),
        statistics.deviation([0.5]),
        statistics.rate(0, 0),
    ) == (None,) * 5


def test_mean_median_best_and_deviation() -> None:
    values = [0.1, 0.2, 0.6]
    assert statistics.mean(values) == pytest.approx(0.3)
    assert statistics.middle(values) == 0.2
    assert statistics.best(values) == 0.6
    assert statistics.deviation(values) == pytest.approx(math.sqrt(0.07))


def test_a_valid_candidate_ends_in_what_was_decided_and_the_counts_add_up() -> None:
    verdicts = [verdict(0, 0.5), verdict(1, None), verdict(2, 0.3), verdict(3, None, "timeout")]
    states = statistics.terminal_states(
        generated=4, verdicts=verdicts, novelty=[decided(0, "admitted"), decided(2, "below_threshold")]
    )
    assert states == {"admitted": 1, "below_threshold": 1, "failed": 1, "timeout": 1}


@pytest.mark.parametrize(
    ("generated", "decisions"),
    [(3, ["admitted"]), (2, []), (2, ["admitted", "admitted"])],
)
def test_counts_that_do_not_add_up_are_refused(generated: int, decisions: list[str]) -> None:
    verdicts = [verdict(0, 0.5), verdict(1, None)]
    with pytest.raises(LedgerError, match="disagree"):
        statistics.terminal_states(
            generated=generated, verdicts=verdicts, novelty=[decided(0, name) for name in decisions]
        )


def summary_of(verdicts: list[Verdict], novelty: list[Novelty], *, threshold: float | None) -> CycleSummary:
    completions = [completed(record.candidate_id, index=index) for index, record in enumerate(verdicts)]
    return statistics.summarise(
        cycle=1,
        completions=completions,
        verdicts=verdicts,
        novelty=novelty,
        adapter=None,
        threshold=threshold,
        corpus=(3, 4),
        guessing=(0.1, 0.1),
        protocol=PROTOCOL,
    )


def test_quarantined_candidates_are_in_no_rate() -> None:
    verdicts = [verdict(0, 0.5), verdict(1, None, "quarantined"), verdict(2, None)]
    summary = summary_of(verdicts, [decided(0, "admitted")], threshold=0.4)
    assert summary.generated == 3
    assert summary.valid_rate == 0.5
    assert summary.valid_interval is not None
    assert summary.valid_interval.n == 2


def test_above_the_threshold_means_strictly_above() -> None:
    verdicts = [verdict(0, 0.4), verdict(1, 0.41)]
    summary = summary_of(verdicts, [decided(0, "below_threshold"), decided(1, "admitted")], threshold=0.4)
    assert (summary.above_threshold, summary.above_rate) == (1, 0.5)


def test_an_empty_cycle_without_a_threshold_has_no_rates() -> None:
    summary = summary_of([], [], threshold=None)
    assert (summary.generated, summary.valid_rate, summary.above_rate, summary.accuracy_mean) == (0, None, None, None)
