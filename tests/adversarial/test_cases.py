"""Every program under cases/ gets the verdict that its first line expects, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import docker
import numpy as np
import psutil
import pytest

from orchestrator.evaluation import prepare
from orchestrator.records import Verdict, digest
from orchestrator.run import Ledger
from orchestrator.run.chain import references
from orchestrator.sandbox.cgroup import ROOT
from orchestrator.sandbox.lease import group_name
from tests.adversarial.suite import CACHE, CONTROL, Case, Result, cases, config, data_digest, run

pytestmark = pytest.mark.docker

GVISOR_SHARE = 6  # `make attack` runs all
ALWAYS = {CONTROL, "honest_no_training", "many_hidden_epochs"}  # what tests of their own look at
STORED = 1 << 20
GRACE = 5.0  # seconds
PROCESSES_OF_OTHERS = 64  # that may come and go on the host while the suite runs
DISK_OF_OTHERS = 4 << 30  # bytes


def chosen(runtime: str) -> list[Case]:
    """Return all cases under runc; under gVisor a sixth of them, chosen by their names alone, and ALWAYS."""
    everything = cases()
    if runtime == "runc":
        return everything
    return [case for case in everything if case.name in ALWAYS or _draw(case) % GVISOR_SHARE == 0]


def _draw(case: Case) -> int:
    return hashlib.sha256(case.name.encode()).digest()[0]


@pytest.fixture(scope="module", params=["runc", "runsc"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    """The results under one runtime, with the host's state checked around all of them and after each."""
    runtime = request.param
    prepared = prepare(config(runtime).protocol, CACHE)
    sandbox = config(runtime).sandbox
    before = data_digest(prepared)
    processes, free = len(psutil.pids()), psutil.disk_usage("/").free
    running = sandbox.slots * sandbox.limits.pids  # what the cases beside the one that ended may hold
    client = docker.from_env()
    found: list[Result] = []
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / f"{runtime}.jsonl", Verdict)
    for result in run(chosen(runtime), runtime=runtime):
        name, container_id = result.case.name, result.verdict.measured.container_id
        mounted = container_mounts()
        alive = {container["Id"] for container in client.api.containers(all=True)}
        assert container_id not in alive, name
        assert mounted <= len(alive) + sandbox.slots, name
        assert data_digest(prepared) == before, name
        assert len(psutil.pids()) < processes + running + PROCESSES_OF_OTHERS, name
        assert psutil.disk_usage("/").free > free - DISK_OF_OTHERS, name
        ledger.append(result.verdict)
        found.append(result)
    assert list(ledger.read()) == [result.verdict for result in found]
    assert len(psutil.pids()) < processes + PROCESSES_OF_OTHERS
    client.close()
    return found


def container_mounts() -> int:
    """Return how many root file systems of containers are mounted."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return sum(line.startswith("overlay ") and "/merged " in line for line in lines)


def test_every_case_gets_the_verdict_that_its_first_line_expects(results: list[Result]) -> None:
    wrong = [
        f"{result.case.name}: {result.verdict.state} in {result.verdict.stage}: {result.verdict.cause}"
        for result in results
        if not result.as_expected
    ]
    assert not wrong, "\n".join(wrong)


def test_an_honest_program_scores_the_same_whatever_ran_beside_it(results: list[Result]) -> None:
    accuracies = {result.verdict.accuracy for result in results if result.case.name == CONTROL}
    assert len(accuracies) == 1
    assert None not in accuracies


def test_no_accuracy_is_above_the_grade_of_the_stored_predictions(results: list[Result]) -> None:
    labels = prepare(config(results[0].runtime).protocol, CACHE).validation_labels
    for result in results:
        if result.verdict.predictions is not None:
            predictions = np.frombuffer(result.objects[result.verdict.predictions], dtype="<u2")
            assert result.verdict.accuracy == np.mean(predictions == labels), result.case.name
        else:
            assert result.verdict.accuracy is None, result.case.name


def test_logs_are_bounded_and_causes_printable(results: list[Result]) -> None:
    for result in results:
        measured = result.verdict.measured
        for stream in (measured.stdout, measured.stderr):
            assert stream is None or len(result.objects[stream]) <= STORED
        assert (result.verdict.cause or "").isprintable()


def test_every_container_was_used_once_and_took_its_control_group_with_it(results: list[Result]) -> None:
    used = [result.verdict.measured.container_id for result in results if result.verdict.measured.container_id]
    assert len(used) == len(set(used))
    ours = group_name().rpartition("x")[0]  # what the names of this process's groups begin with
    assert not [name for _, folders, _ in os.walk(ROOT) for name in folders if ours in name]


def test_every_evaluation_comes_with_the_objects_that_its_verdict_names(results: list[Result]) -> None:
    for result in results:
        named = references(result.verdict.model_dump(mode="json"))
        assert "environment" in named
        assert set(named.values()) <= result.objects.keys(), result.case.name
        assert all(digest(content) == name for name, content in result.objects.items()), result.case.name


def test_no_stage_lasted_longer_than_its_deadline(results: list[Result]) -> None:
    deadlines = config(results[0].runtime).sandbox.deadlines
    for result in results:
        for stage, seconds in result.verdict.measured.seconds.items():
            allowed = getattr(deadlines, "import_" if stage == "import" else stage, deadlines.import_)
            assert seconds <= allowed + GRACE, (result.case.name, stage)


def test_hidden_epochs_are_flagged(results: list[Result]) -> None:
    flagged = {result.case.name: result.verdict.measured.flags for result in results}
    assert "CPU time" in flagged["many_hidden_epochs"][0]
    assert "consumed 0 of 512" in flagged["honest_no_training"][0]
    assert flagged[CONTROL] == ()


def test_there_are_enough_cases_of_both_kinds() -> None:
    honest = [case for case in cases() if case.name.startswith("honest")]
    assert len(honest) >= 10
    assert len(cases()) - len(honest) >= 60
