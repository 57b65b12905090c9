"""A candidate's result can be repeated, compared, and leaves the run as it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.evaluation import Submission
from orchestrator.evaluation.replay import Replay, environments, hosts, replay, sandboxed
from orchestrator.loop.fakes import FakeEvaluator
from orchestrator.records import Evaluation
from orchestrator.run import RunFolder
from orchestrator.run.history import history
from tests.support.recorded_run import recorded

PASSED, FAILED, NO_CODE = "c001-0003", "c001-0002", "c001-0000"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return recorded(tmp_path_factory.mktemp("runs") / "run")


def again(run: RunFolder, name: str) -> Replay:
    evaluator = FakeEvaluator(protocol=run.config.protocol.hash())
    return replay(run, history(run, name), evaluator=evaluator, dataset="0" * 64)


def test_the_same_failure_is_the_same_result(run: RunFolder) -> None:
    done = again(run, NO_CODE)
    assert done.same
    assert {fact.name for fact in done.result} == {"state", "stage", "accuracy", "predictions"}


def test_another_accuracy_and_other_predictions_are_named(run: RunFolder) -> None:
    done = again(run, PASSED)
    assert not done.same
    assert {fact.name for fact in done.result if not fact.same} == {"accuracy", "predictions"}


def test_a_failure_that_passes_today_is_another_result(run: RunFolder) -> None:
    done = again(run, FAILED)
    assert (done.result[0].recorded, done.result[0].today) == ("failed", "passed")


class Quarantining(FakeEvaluator):
    """One that the infrastructure fails."""

    def evaluate(self, submissions: Iterable[Submission]) -> Iterator[Evaluation]:
        for one in super().evaluate(submissions):
            failed = {"state": "quarantined", "cause": "no engine", "accuracy": None, "predictions": None}
            yield one.model_copy(update={"verdict": one.verdict.model_copy(update=failed)})


def test_a_replay_that_the_infrastructure_fails_is_no_other_result(run: RunFolder) -> None:
    evaluator = Quarantining(protocol=run.config.protocol.hash())
    with pytest.raises(InfrastructureError, match="no engine"):
        replay(run, history(run, PASSED), evaluator=evaluator, dataset="0" * 64)


def test_a_replay_writes_nothing_into_the_run(run: RunFolder) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    again(run, PASSED)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


def test_what_differs_in_the_surroundings_is_named() -> None:
    facts = environments({"runtime": "runc", "image": "a"}, {"runtime": "runsc", "image": "a", "threads": 2})
    assert {fact.name: (fact.recorded, fact.today) for fact in facts if not fact.same} == {
        "runtime": ("runc", "runsc"),
        "threads": (None, 2),
    }
    assert hosts(None, packages={"torch": "2"}, dataset="0") == ()


def test_a_candidate_without_a_verdict_cannot_be_replayed(tmp_path: Path) -> None:
    recorded(tmp_path / "run")
    (tmp_path / "run" / "cycle-001" / "verdicts.jsonl").unlink()
    with pytest.raises(ConfigError, match="no verdict yet"):
        again(RunFolder.load(tmp_path / "run"), PASSED)


def test_a_run_without_a_key_cannot_be_replayed_and_gets_none(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no key"):
        sandboxed(run, config=run.config, prepared=None, cache=tmp_path)  # type: ignore[arg-type] # not looked at
    assert not (run.path / "key").exists()
