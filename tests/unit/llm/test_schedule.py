"""The learning rate over a run."""

from __future__ import annotations

import pytest

from llm.schedule import factor, warmup


def test_warm_up_is_kept_in_a_long_run_and_at_most_a_quarter_of_a_short_one() -> None:
    assert warmup(20, steps=2000) == 20
    assert warmup(20, steps=24) == 6
    assert warmup(20, steps=1) == 0
    assert warmup(0, steps=100) == 0


def test_the_rate_rises_to_its_peak_and_falls_to_almost_nothing() -> None:
    rates = [factor(step, warmup=5, steps=50) for step in range(50)]
    assert rates[:6] == sorted(rates[:6])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert max(rates) == rates[5] == 1.0
    assert rates[-1] < 0.01


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_no_step_of_a_run_is_wasted_on_a_rate_of_zero(steps: int) -> None:
    assert all(factor(step, warmup=warmup(20, steps=steps), steps=steps) > 0 for step in range(steps))
