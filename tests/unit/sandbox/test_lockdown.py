"""What is asked of the engine for one container: no engine is needed to see it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker

from orchestrator.records import Limits
from orchestrator.sandbox.cgroup import ControlGroup
from orchestrator.sandbox.lockdown import Spec, creation

GROUP = ControlGroup(name="abc", driver="cgroupfs")


def created(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "image": "sha256:0",
        "mode": "supervise",
        "runtime": "runc",
        "limits": Limits(),
        "life": 60.0,
        "seccomp": "{}",
        "owner": "me",
        "threads": 1,
    }
    api = docker.APIClient(version="1.41")
    try:
        return creation(SimpleNamespace(api=api), Spec(**(plain | changes)), GROUP)
    finally:
        api.close()


def test_a_gpu_container_asks_for_one_explicit_device_and_never_for_all() -> None:
    (request,) = created(gpu="GPU-1234")["host_config"]["DeviceRequests"]
    assert request["DeviceIDs"] == ["GPU-1234"]
    assert request["Capabilities"] == [["gpu"]]
    assert request["Count"] == 0
    assert created(gpu="GPU-1234")["command"][-1] == "--gpu"


def test_a_container_without_a_gpu_asks_for_no_device() -> None:
    assert not created()["host_config"].get("DeviceRequests")
    assert "--gpu" not in created()["command"]


def test_swap_is_no_way_around_the_memory_limit() -> None:
    host = created()["host_config"]
    assert host["Memory"] == host["MemorySwap"] == Limits().memory


def test_the_supervisor_keeps_three_capabilities_and_the_parser_none() -> None:
    assert created()["host_config"]["CapAdd"] == ["SETUID", "SETGID", "KILL"]
    parser = created(mode="parse")
    assert not parser["host_config"].get("CapAdd")
    assert parser["user"] == "65532:65532"
    assert parser["host_config"]["CapDrop"] == ["ALL"]


def test_only_the_training_split_is_mounted_and_read_only(tmp_path: Path) -> None:
    (mount,) = created(train=tmp_path)["host_config"]["Mounts"]
    assert mount["Source"] == str(tmp_path)
    assert mount["ReadOnly"]
    assert not created()["host_config"].get("Binds")


def test_nothing_of_the_hosts_environment_reaches_a_container() -> None:
    known = {"HOME", "LANG", "OMP_NUM_THREADS", "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG", "GLIBC_TUNABLES"}
    assert set(created()["environment"]) == known


def test_the_network_is_none_and_the_root_read_only() -> None:
    host = created()["host_config"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"]
    assert "no-new-privileges" in host["SecurityOpt"]


def test_a_proxy_of_the_users_docker_settings_reaches_no_container() -> None:
    assert created()["use_config_proxy"] is False
