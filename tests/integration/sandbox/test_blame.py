"""A container that somebody else ends is our failure: the candidate is tried again, and quarantined past the bound."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from orchestrator.evaluation import SandboxEvaluator, Submission, prepare
from orchestrator.records import Verdict
from orchestrator.sandbox import Sandbox
from orchestrator.sandbox.lease import PROCESS
from orchestrator.sections import SandboxConfig
from tests.adversarial.suite import CACHE, FOLDER, config
from tests.support.relay import Relay, relaying

pytestmark = pytest.mark.docker

SLOW = (FOLDER / "sleep_for_ever.py").read_bytes().replace(b"time.sleep(1e9)", b"time.sleep(4)")
Ender = Callable[[docker.DockerClient, str], None]


def by_the_engine(client: docker.DockerClient, container_id: str) -> None:
    client.api.kill(container_id)


def by_a_signal_from_the_host(client: docker.DockerClient, container_id: str) -> None:
    os.kill(client.api.inspect_container(container_id)["State"]["Pid"], signal.SIGKILL)


@pytest.fixture
def relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    with relaying(tmp_path, monkeypatch) as between:
        yield between


@contextmanager
def ending(end: Ender, *, times: int) -> Iterator[list[str]]:
    """End, one after the other, the first `times` containers of this process in which a candidate is running.

    A candidate was seen twice before: one that has only just been forked has not said yet that it was.
    """
    client = docker.from_env()
    stop, ended, seen = threading.Event(), [], set()

    def watch() -> None:
        while not stop.wait(0.2) and len(ended) < times:
            for container in client.api.containers(filters={"label": PROCESS}):
                if not container["Labels"][PROCESS].startswith(f"{os.getpid()}:"):
                    continue
                running = " 10001 " in f" {' '.join(row[0] for row in uids(client, container['Id']))} "
                if not running or container["Id"] in ended or len(ended) == times:
                    continue
                if container["Id"] in seen:
                    ended.append(container["Id"])
                    end(client, container["Id"])
                seen.add(container["Id"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield ended
    finally:
        stop.set()
        watcher.join()
        client.close()


def uids(client: docker.DockerClient, container_id: str) -> list[list[str]]:
    """Return the uid of every process in a container, as the engine sees it from outside."""
    try:
        processes: list[list[str]] | None = client.api.top(container_id, ps_args="-o uid,pid")["Processes"]
    except docker.errors.APIError:  # it has just ended
        return []
    return processes or []  # the engine says null where the last process is gone and the container is not yet


def evaluated(tmp_path: Path) -> Verdict:
    settings = config("runc")
    sandbox = settings.sandbox.model_copy(update={"slots": 1})
    settings = settings.model_copy(update={"sandbox": sandbox, "retries": 1})
    prepared = prepare(settings.protocol, CACHE)
    with SandboxEvaluator(config=settings, prepared=prepared, key=b"k") as evaluator:
        (evaluation,) = evaluator.evaluate([Submission(candidate_id="slow", source=SLOW)])
    return evaluation.verdict


@pytest.mark.parametrize("end", [by_the_engine, by_a_signal_from_the_host])
def test_a_candidate_whose_container_was_ended_from_outside_is_tried_again(tmp_path: Path, end: Ender) -> None:
    with ending(end, times=1) as ended:
        verdict = evaluated(tmp_path)
    assert len(ended) == 1
    assert verdict.state == "passed"
    assert verdict.measured.container_id not in ended


def test_a_candidate_whose_container_went_on_without_its_stream_is_tried_again(tmp_path: Path, relay: Relay) -> None:
    with ending(relay.lose, times=1) as ended:
        verdict = evaluated(tmp_path)
    assert len(ended) == 1
    assert verdict.state == "passed"
    assert verdict.measured.container_id not in ended


def test_a_parser_that_the_infrastructure_fails_is_asked_again(tmp_path: Path, relay: Relay) -> None:
    relay.lose_with(SLOW)  # which is sent to the parser before any candidate's container
    assert evaluated(tmp_path).state == "passed"
    assert relay.lost


def test_past_the_bound_a_program_that_no_parser_answers_for_is_quarantined_unparsed(
    tmp_path: Path, relay: Relay
) -> None:
    relay.lose_with(SLOW, times=3)  # two attempts, and a last one after the engine was proved to work
    verdict = evaluated(tmp_path)
    assert relay.lost
    assert (verdict.state, verdict.stage, verdict.accuracy) == ("quarantined", "parse", None)
    assert "was lost" in (verdict.cause or "")


def test_past_the_bound_a_candidate_is_quarantined_and_has_no_accuracy(tmp_path: Path) -> None:
    with ending(by_the_engine, times=3) as ended:  # two attempts, and a last one after the engine was proved to work
        verdict = evaluated(tmp_path)
    assert len(ended) == 3
    assert (verdict.state, verdict.accuracy) == ("quarantined", None)
    assert "killed from outside" in (verdict.cause or "")


def test_a_container_ends_by_itself_when_its_life_is_over(tmp_path: Path) -> None:
    deadlines = SandboxConfig().deadlines.model_copy(update={"life": 15})
    sandbox = SandboxConfig().model_copy(update={"deadlines": deadlines})
    client = docker.from_env()
    with Sandbox(sandbox, owner="a short life") as containers:
        container = containers.starting(train=tmp_path, gpu=None).container
        try:
            assert client.api.wait(container.id, timeout=60)["StatusCode"] == 3
        finally:
            container.close()
            client.close()
