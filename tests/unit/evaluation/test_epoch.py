"""One epoch cannot be proved from outside, but odd ones are flagged."""

from __future__ import annotations

import pytest

from orchestrator.evaluation.verdict import Epoch, flags, training_cost
from orchestrator.records import Execution, Reply

EPOCH = Epoch(train=4096, validation=2048)


def execution(**cpu: float) -> Execution:
    return Execution(container_id="x", ended_by="reply", stage="predict", seconds={}, stage_cpu_seconds=cpu)


def test_honest_training_costs_about_three_forward_passes() -> None:
    assert training_cost(execution(train=6.0, predict=1.0), EPOCH) == pytest.approx(1.0)


def test_hidden_epochs_show_in_the_cost() -> None:
    honest, hidden = (execution(train=seconds, predict=1.0) for seconds in (6.0, 60.0))
    assert flags(honest, Reply(samples=4096), EPOCH) == ()
    assert "10 times" in flags(hidden, Reply(samples=4096), EPOCH)[0]


def test_less_than_one_pass_is_flagged() -> None:
    assert flags(execution(), Reply(samples=64), EPOCH) == ("consumed 64 of 4096 training images",)


def test_a_cost_needs_both_stages() -> None:
    assert training_cost(execution(train=6.0), EPOCH) is None
    assert training_cost(execution(predict=6.0), EPOCH) is None
