"""What is asked of the engine for one container: no engine is needed to see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    return creation(Spec(**(plain | changes)), GROUP)


def test_a_gpu_container_asks_for_one_explicit_device_and_never_for_all() -> None:
    (request,) = created(gpu="GPU-1234")["HostConfig"]["DeviceRequests"]
    assert request["DeviceIDs"] == ["GPU-1234"]
    assert request["Capabilities"] == [["gpu"]]
    assert request["Count"] == 0
    assert created(gpu="GPU-1234")["Cmd"][-1] == "--gpu"


def test_a_container_without_a_gpu_asks_for_no_device() -> None:
    assert not created()["HostConfig"].get("DeviceRequests")
    assert "--gpu" not in created()["Cmd"]


def test_swap_is_no_way_around_the_memory_limit() -> None:
    host = created()["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == Limits().memory


def test_the_supervisor_keeps_three_capabilities_and_the_parser_none() -> None:
    assert created()["HostConfig"]["CapAdd"] == ["SETUID", "SETGID", "KILL"]
    parser = created(mode="parse")
    assert not parser["HostConfig"].get("CapAdd")
    assert parser["User"] == "65532:65532"
    assert parser["HostConfig"]["CapDrop"] == ["ALL"]


def test_only_the_training_split_is_mounted_and_read_only(tmp_path: Path) -> None:
    (mount,) = created(train=tmp_path)["HostConfig"]["Mounts"]
    assert mount["Source"] == str(tmp_path)
    assert mount["ReadOnly"]
    assert not created()["HostConfig"].get("Binds")


def test_nothing_of_the_hosts_environment_reaches_a_container() -> None:
    known = {"HOME", "LANG", "OMP_NUM_THREADS", "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG", "GLIBC_TUNABLES"}
    assert {variable.partition("=")[0] for variable in created()["Env"]} == known


def test_the_network_is_none_and_the_root_read_only() -> None:
    host = created()["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"]
    assert "no-new-privileges" in host["SecurityOpt"]
