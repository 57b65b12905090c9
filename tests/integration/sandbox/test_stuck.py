"""A container that outlives its kill costs its slot, and no candidate its verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from orchestrator.errors import NoSlotError
from orchestrator.evaluation import SandboxEvaluator, Submission, prepare
from orchestrator.records import Verdict
from orchestrator.sandbox.cgroup import TOP, ControlGroup
from tests.adversarial.suite import CACHE, CONTROL, FOLDER, config
from tests.support.relay import Relay, relaying

pytestmark = pytest.mark.docker

SECONDS = 120.0
READY = 20.0  # seconds, in which a slot that is set aside may come back, too
HONEST = (FOLDER / f"{CONTROL}.py").read_bytes()


@contextmanager
def losing(kills: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """Lose the first kills, and end for good what they spared."""
    straight = docker.from_env()
    with relaying(folder, monkeypatch) as relay:
        relay.lose_kills(kills)
        try:
            yield relay
        finally:
            for spared in relay.spared:
                name = straight.api.inspect_container(spared)["Name"].removeprefix(f"/{TOP}-")
                straight.api.unpause(spared)
                straight.api.remove_container(spared, force=True)
                ControlGroup(name=name, driver=straight.info()["CgroupDriver"]).remove()
            straight.close()


def evaluated(folder: Path, *, slots: int, count: int, journal: list[Mapping[str, Any]]) -> list[Verdict]:
    settings = config("runc")
    deadlines = settings.sandbox.deadlines.model_copy(update={"ready": READY})
    sandbox = settings.sandbox.model_copy(update={"slots": slots, "deadlines": deadlines})
    settings = settings.model_copy(update={"sandbox": sandbox})

    def record(event: str, data: Mapping[str, Any], *, durable: bool = True) -> None:
        if event.startswith("slot_"):
            journal.append({"event": event, **data})

    prepared = prepare(settings.protocol, CACHE)
    submissions = [Submission(candidate_id=f"c{number}", source=HONEST) for number in range(count)]
    with SandboxEvaluator(config=settings, prepared=prepared, key=b"k", record=record) as evaluator:
        return [evaluation.verdict for evaluation in evaluator.evaluate(submissions)]


def test_a_slot_whose_container_outlives_its_kill_is_quarantined_and_the_other_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal: list[Mapping[str, Any]] = []
    with losing(1, tmp_path, monkeypatch) as relay:
        verdicts = evaluated(tmp_path / "store", slots=2, count=4, journal=journal)
        (spared,) = relay.spared
    assert [verdict.state for verdict in verdicts] == ["passed"] * 4
    assert len({verdict.accuracy for verdict in verdicts}) == 1
    (line,) = journal
    assert line["cause"] == f"container {spared[:12]} runs on although it was killed"
    (stuck,) = (verdict for verdict in verdicts if verdict.measured.container_id == spared)
    assert stuck.measured.exit_code is None


def test_a_slot_comes_back_when_its_container_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal: list[Mapping[str, Any]] = []
    with losing(1, tmp_path, monkeypatch) as relay, ThreadPoolExecutor(max_workers=1) as threads:
        running = threads.submit(evaluated, tmp_path / "store", slots=1, count=2, journal=journal)
        relay.spares.wait(SECONDS)
        relay.lose_kills(0)
        engine = docker.from_env()
        engine.api.unpause(relay.spared.pop())  # and it ends, for its stream is closed
        engine.close()
        verdicts = running.result(timeout=SECONDS)
    assert [verdict.state for verdict in verdicts] == ["passed"] * 2
    assert [line["event"] for line in journal] == ["slot_quarantine", "slot_restored"]


def test_without_a_slot_the_evaluation_stops_and_blames_no_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with losing(1, tmp_path, monkeypatch), pytest.raises(NoSlotError, match="no slot is left"):
        evaluated(tmp_path / "store", slots=1, count=2, journal=[])
