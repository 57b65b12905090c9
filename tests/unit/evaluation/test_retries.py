"""Failures of the infrastructure are tried again within bounds; past them, two proofs decide whose fault they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.evaluation import Submission
from orchestrator.evaluation.dossier import Dossier
from orchestrator.evaluation.retries import Attempts, QuarantineError
from orchestrator.loop.fakes import FakeEvaluator


class Flaky:
    """Fails so many times, as what it is called with says, and then returns how often it was called."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise InfrastructureError(f"failure {self.calls}")
        return self.calls


def attempts(retries: int = 2, *, prove: Callable[[], None] = lambda: None) -> tuple[Attempts, Dossier]:
    """Attempts, and the dossier of the candidate that they are for."""
    return Attempts(retries=retries, prove=prove, pause=0), Dossier("c")


def noted(dossier: Dossier) -> list[tuple[str, dict[str, Any]]]:
    verdict = FakeEvaluator(protocol="0" * 64)
    (made,) = verdict.evaluate([Submission("c", None)])
    return [(one.event, one.data) for one in dossier.closed(made.candidate, made.verdict).events]


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_a_failure_is_noted_and_tried_again(failures: int) -> None:
    tried, dossier = attempts()
    assert tried.of(dossier, Flaky(failures)) == failures + 1
    assert noted(dossier) == [
        ("retry", {"candidate_id": "c", "attempt": number, "cause": f"failure {number}"})
        for number in range(1, failures + 1)
    ]


def test_past_the_bounds_the_last_failure_is_raised() -> None:
    tried, dossier = attempts()
    with pytest.raises(InfrastructureError, match="failure 3"):
        tried.of(dossier, Flaky(9))
    assert len(noted(dossier)) == 2  # the last is told by whoever gives up


def test_other_errors_are_not_tried_again() -> None:
    def broken() -> None:
        calls.append(1)
        raise ValueError("not a failure of the infrastructure")

    calls: list[int] = []
    tried, dossier = attempts()
    with pytest.raises(ValueError, match="not a failure"):
        tried.to_the_last(dossier, broken)
    assert len(calls) == 1


def test_one_attempt_past_the_bounds_is_granted_where_containers_can_be_started() -> None:
    proofs: list[int] = []
    tried, dossier = attempts(retries=1, prove=lambda: proofs.append(1))
    assert tried.to_the_last(dossier, Flaky(2)) == 3
    assert len(proofs) == 1


def test_what_fails_between_two_proofs_is_the_candidates() -> None:
    proofs: list[int] = []
    tried, dossier = attempts(retries=1, prove=lambda: proofs.append(1))
    with pytest.raises(QuarantineError, match="failure 3"):
        tried.to_the_last(dossier, Flaky(9))
    assert len(proofs) == 2


@pytest.mark.parametrize("fails", [1, 2])
def test_nothing_is_held_against_a_candidate_where_a_proof_fails(fails: int) -> None:
    proofs: list[int] = []

    def prove() -> None:
        proofs.append(1)
        if len(proofs) == fails:
            raise InfrastructureError("no engine answers")

    tried, dossier = attempts(prove=prove)
    with pytest.raises(InfrastructureError, match="no engine answers"):
        tried.to_the_last(dossier, Flaky(9))


def test_what_was_called_off_is_neither_tried_again_nor_proved() -> None:
    def never() -> None:
        pytest.fail("proved")

    tried, dossier = attempts(prove=never)
    tried.call_off()
    work = Flaky(9)
    with pytest.raises(InfrastructureError, match="called off"):
        tried.to_the_last(dossier, work)
    assert work.calls == 1
