"""Facts outrank claims, and nothing but N predictions in range earns an accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.escape import plain
from orchestrator.evaluation.verdict import Answers, Terms, judge, score
from orchestrator.records import Candidate, Death, Execution, Passed, Program, Refusal, Reply, StageFailure

HASH = "0" * 64
LABELS = np.array([3, 1, 4, 1, 5, 9, 2, 6], dtype=np.uint8)
ORDER = np.array([7, 2, 0, 5, 1, 6, 3, 4])
ANSWERS = Answers(labels=LABELS, order=ORDER, classes=10)
TERMS = Terms(protocol=HASH, environment=HASH)
PROGRAM = Program(runs=HASH, completed=(), imports=("torch",), hyperparameters=(), tokens=9, shingles=HASH)
CANDIDATE = Candidate(candidate_id="c001-0000", source=HASH, program=PROGRAM)
LIVED = Death(ordered=True, flood=False, broken=None, signal=9, exit_code=None, log_bytes=0)


def execution(**changes: Any) -> Execution:
    facts: dict[str, Any] = {"container_id": "x", "ended_by": "reply", "stage": "predict", "seconds": {}}
    return Execution(**(facts | changes))


def reply(predictions: Any, **claims: Any) -> Reply:
    sent = None if predictions is None else np.asarray(predictions, dtype="<u2").tobytes()
    return Reply(predictions=sent, death=claims.pop("death", LIVED), **claims)


def test_predictions_are_graded_in_the_order_in_which_their_images_were_sent() -> None:
    assert score(CANDIDATE, execution(), reply(LABELS[ORDER]), ANSWERS, TERMS) == Passed(accuracy=1.0)
    assert score(CANDIDATE, execution(), reply(LABELS), ANSWERS, TERMS) != Passed(accuracy=1.0)


def test_stored_predictions_stand_in_the_order_of_the_labels() -> None:
    verdict, stored = judge(CANDIDATE, execution(), reply(LABELS[ORDER]), ANSWERS, TERMS)
    assert verdict.state == "passed"
    assert stored == LABELS.astype("<u2").tobytes()


def test_a_claimed_fingerprint_is_kept_and_decides_nothing() -> None:
    plain, _ = judge(CANDIDATE, execution(), reply(LABELS[ORDER]), ANSWERS, TERMS)
    said = reply(LABELS[ORDER], fingerprint=HASH, layers=3, operations=4)
    verdict, _ = judge(CANDIDATE, execution(), said, ANSWERS, TERMS)
    assert (verdict.claimed.fingerprint, verdict.claimed.layers, verdict.claimed.operations) == (HASH, 3, 4)
    assert verdict.model_copy(update={"claimed": plain.claimed}) == plain


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"oom_killed": True}, "out_of_memory"),
        ({"ended_by": "deadline", "stage": "train"}, "timeout"),
        ({"ended_by": "flood"}, "killed"),
        ({"ended_by": "wire", "cause": "nonsense"}, "killed"),
        ({"ended_by": "death"}, "killed"),
    ],
)
def test_a_killed_container_cannot_pass_whatever_it_printed(facts: dict[str, Any], state: str) -> None:
    verdict, stored = judge(CANDIDATE, execution(**facts), reply(LABELS[ORDER]), ANSWERS, TERMS)
    assert (verdict.state, verdict.accuracy, stored) == (state, None, None)


@pytest.mark.parametrize("predictions", [None, [], LABELS[:-1], [*LABELS, 1], [*LABELS[:-1], 10], [65535] * 8])
def test_a_wrong_number_or_range_of_predictions_is_a_failure(predictions: Any) -> None:
    outcome = score(CANDIDATE, execution(), reply(predictions), ANSWERS, TERMS)
    assert not isinstance(outcome, Passed)
    assert (outcome.state, outcome.stage) == ("failed", "predict")


@given(st.lists(st.integers(0, 9), min_size=8, max_size=8))
def test_accuracy_is_exactly_the_share_of_right_predictions(predictions: list[int]) -> None:
    outcome = score(CANDIDATE, execution(), reply(predictions), ANSWERS, TERMS)
    expected = sum(int(LABELS[ORDER[i]]) == predictions[i] for i in range(8)) / 8
    assert outcome == Passed(accuracy=expected)


def test_an_exception_is_a_failure_even_beside_predictions() -> None:
    failure = StageFailure(stage="train", kind="ValueError", text="no", where=[], memory=False, gpu_memory=False)
    outcome = score(CANDIDATE, execution(stage="train"), reply(LABELS[ORDER], failure=failure), ANSWERS, TERMS)
    assert not isinstance(outcome, Passed)
    assert (outcome.state, outcome.stage, outcome.cause) == ("failed", "train", "ValueError: no")


@pytest.mark.parametrize(
    ("host", "gpu", "state"),
    [(True, True, "out_of_memory"), (False, True, "gpu_out_of_memory"), (False, False, "failed")],
)
def test_exhausted_gpu_memory_is_told_from_the_hosts_and_believed_only_where_there_is_a_gpu(
    *, host: bool, gpu: bool, state: str
) -> None:
    failure = StageFailure(stage="train", kind="OutOfMemoryError", text="", where=[], memory=host, gpu_memory=not host)
    terms = Terms(protocol=HASH, environment=HASH, gpu=gpu)
    assert judge(CANDIDATE, execution(), reply(None, failure=failure), ANSWERS, terms)[0].state == state


def test_a_refused_candidate_needs_no_execution() -> None:
    refusal = Refusal(state="syntax_error", stage="parse", cause="invalid syntax")
    refused = Candidate(candidate_id="c", source=HASH, refusal=refusal)
    verdict, _ = judge(refused, None, Reply(), ANSWERS, TERMS)
    assert (verdict.state, verdict.stage, verdict.cause) == ("syntax_error", "parse", "invalid syntax")


@pytest.mark.parametrize("claimed", [None, 11])
def test_an_enforced_budget_is_over_where_the_claim_is_missing_or_above(claimed: int | None) -> None:
    terms = Terms(protocol=HASH, environment=HASH, parameter_budget=10)
    outcome = score(CANDIDATE, execution(), reply(LABELS[ORDER], parameters=claimed), ANSWERS, terms)
    assert not isinstance(outcome, Passed)
    assert outcome.state == "over_budget"
    assert score(CANDIDATE, execution(), reply(LABELS[ORDER], parameters=10), ANSWERS, terms) == Passed(accuracy=1.0)


@given(st.text(max_size=1000))
def test_a_cause_is_one_printable_bounded_line(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert len(shown) <= 300
