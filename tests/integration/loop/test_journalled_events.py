"""What happens to a candidate in its containers is journalled: limits, stages, attempts that failed, quarantine."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from orchestrator.evaluation import SandboxEvaluator, Submission, prepare
from orchestrator.records import Evaluation, Event
from orchestrator.run import RunFolder
from orchestrator.run.chain import JOURNAL, read_chain
from tests.adversarial.suite import CACHE, config
from tests.integration.sandbox.test_blame import SLOW, by_the_engine, ending

pytestmark = pytest.mark.docker

STAGES = ["import", "instantiate", "forward", "train", "predict"]


def journalled(folder: Path, *, kills: int) -> list[Event]:
    """The events of one evaluation with one retry, whose container is ended from outside so many times."""
    settings = config("runc")
    sandbox = settings.sandbox.model_copy(update={"slots": 1})
    settings = settings.model_copy(update={"sandbox": sandbox, "retries": 1})
    prepared = prepare(settings.protocol, CACHE)
    run = RunFolder.create(folder, settings)
    submissions = [Submission(candidate_id="c001-0000", source=SLOW)]
    evaluator = SandboxEvaluator(config=settings, prepared=prepared, key=b"k", record=run.record)
    with ending(by_the_engine, times=kills), evaluator:
        for evaluation in evaluator.evaluate(submissions):
            run.keep(Evaluation.model_validate_json(evaluation.model_dump_json()))
    events, torn = read_chain(folder / JOURNAL)
    assert torn == 0
    return events


def test_containers_with_their_limits_stages_and_a_retry_are_journalled(tmp_path: Path) -> None:
    events = journalled(tmp_path, kills=1)
    containers = {event.data["container_id"]: event.data for event in events if event.event == "container"}
    assert {data["mode"] for data in containers.values()} == {"supervise", "parse"}
    assert {data["slot"] for data in containers.values() if data["mode"] == "supervise"} == {0}
    assert all(data["limits"]["memory"] > 0 and data["runtime"] == "runc" for data in containers.values())
    stages = [event.data for event in events if event.event == "stage"]
    final = [data for data in stages if data["container_id"] == stages[-1]["container_id"]]
    assert [data["stage"] for data in final] == STAGES
    assert all(earlier["seconds"] <= later["seconds"] for earlier, later in pairwise(final))
    assert {data["container_id"] for data in stages} <= containers.keys()
    (retry,) = (event.data for event in events if event.event == "retry")
    assert (retry["candidate_id"], retry["attempt"]) == ("c001-0000", 1)
    assert "killed from outside" in retry["cause"]


def test_a_quarantine_is_journalled(tmp_path: Path) -> None:
    events = journalled(tmp_path, kills=3)  # two attempts, and a last one after the engine was proved to work
    (quarantine,) = (event.data for event in events if event.event == "quarantine")
    assert quarantine["candidate_id"] == "c001-0000"
    assert [event.event for event in events].count("retry") == 1
