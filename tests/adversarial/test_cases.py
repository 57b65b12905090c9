"""Every program under cases/ gets the verdict that its first line expects, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import docker
import numpy as np
import pytest

from orchestrator.datasets import Prepared
from orchestrator.evaluate import SandboxEvaluator
from orchestrator.records import Evaluation
from orchestrator.seams import Submission
from orchestrator.store import Store

CASES = sorted((Path(__file__).parent / "cases").glob("*.py"))


@pytest.fixture(scope="session")
def verdicts(evaluator: SandboxEvaluator) -> dict[str, Evaluation]:
    """The evaluation of every case by its name, all submitted in one go."""
    submissions = [Submission(candidate_id=case.stem, source=case.read_bytes()) for case in CASES]
    return {evaluation.candidate.candidate_id: evaluation for evaluation in evaluator.evaluate(submissions)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_case_gets_the_verdict_that_its_first_line_expects(case: Path, verdicts: dict[str, Evaluation]) -> None:
    state, stage, *words = case.read_bytes().split(b"\n")[0].decode().removeprefix("# expect: ").split()
    verdict = verdicts[case.stem].verdict
    assert (verdict.state, verdict.stage) == (state, stage), verdict.cause
    assert " ".join(words) in (verdict.cause or "")
    assert (verdict.accuracy is None) == (state != "passed")


def test_no_accuracy_is_above_the_grade_of_the_stored_predictions(
    verdicts: dict[str, Evaluation], store: Store, prepared: Prepared
) -> None:
    for evaluation in verdicts.values():
        verdict = evaluation.verdict
        if verdict.predictions is not None:
            predictions = np.frombuffer(store.get(verdict.predictions), dtype="<u2")
            assert verdict.accuracy == np.mean(predictions == prepared.validation_labels)


def test_logs_are_bounded_and_stored(verdicts: dict[str, Evaluation], store: Store) -> None:
    flood = verdicts["output_flood"].verdict.measured
    assert flood.truncated
    assert flood.stdout is not None
    assert len(store.get(flood.stdout)) == 1 << 20
    prints = verdicts["honest_prints"].verdict.measured
    assert prints.stdout is not None
    assert store.get(prints.stdout).splitlines()[1] == b"training on 8 batches"


def test_every_container_was_used_once_and_is_gone(
    verdicts: dict[str, Evaluation], evaluator: SandboxEvaluator
) -> None:
    used = [e.verdict.measured.container_id for e in verdicts.values() if e.verdict.measured.container_id]
    assert len(used) == len(set(used))
    client = docker.from_env()
    alive = {container.id for container in client.containers.list(all=True)}
    client.close()
    assert not alive & set(used)
    assert evaluator is not None
