"""What a killed orchestrator left behind is reaped, and nothing that belongs to a living one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import docker
import pytest

from orchestrator.sandbox import Sandbox
from orchestrator.sandbox.cgroup import empty_groups
from orchestrator.sandbox.lease import is_orphan, labels
from orchestrator.sections import SandboxConfig

pytestmark = pytest.mark.docker

DIES_WITH_A_CONTAINER = """
import os, signal, sys
from pathlib import Path
from orchestrator.sections import SandboxConfig
from orchestrator.sandbox.session import Sandbox
with Sandbox(SandboxConfig(), owner="a test that dies") as containers:
    container = containers.supervisor(train=Path(sys.argv[1]), gpu=None)
    print(container.id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_containers_of_a_killed_process_are_reaped_by_the_next_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DIES_WITH_A_CONTAINER, str(tmp_path)]
    died = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    left = died.stdout.strip()
    assert len(left) == 64, died.stderr
    client = docker.from_env()
    assert client.api.containers(all=True, filters={"id": left})
    with Sandbox(SandboxConfig(), owner="a test that lives") as containers:
        alive = containers.supervisor(train=tmp_path, gpu=None)
        with Sandbox(SandboxConfig(), owner="a neighbour"):
            ids = {container["Id"] for container in client.api.containers(all=True)}
            assert left not in ids
            assert alive.id in ids
        alive.close()
    client.close()


def test_a_container_that_was_not_ended_goes_when_its_owner_leaves(tmp_path: Path) -> None:
    client = docker.from_env()
    with Sandbox(SandboxConfig(), owner="a neighbour") as others:
        neighbour = others.supervisor(train=tmp_path, gpu=None)
        with Sandbox(SandboxConfig(), owner="one whose engine hung") as containers:
            left = containers.supervisor(train=tmp_path, gpu=None)
        ids = {container["Id"] for container in client.api.containers(all=True)}
        assert left.id not in ids
        assert neighbour.id in ids
        neighbour.close()
    assert left.group.name not in empty_groups(left.group.driver)
    assert left.close().exit_code is None
    client.close()


def test_a_lease_from_another_machine_counts_only_when_it_has_expired() -> None:
    foreign = labels(owner="x", life=100) | {"nn-sandbox.machine": "elsewhere"}
    now = float(foreign["nn-sandbox.expires"])
    assert not is_orphan(foreign, now=now)
    assert is_orphan(foreign, now=now + 61)
    assert not is_orphan(labels(owner="x", life=-1000), now=now)
    assert not is_orphan({"some.other": "label"}, now=now + 1e9)
