"""A limit that the engine or the kernel did not apply is our failure, and is named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.records import Limits
from orchestrator.sandbox.cgroup import UNLIMITED, ControlGroup
from orchestrator.sandbox.lockdown import Spec, creation
from orchestrator.sandbox.readback import check_environment, check_inside, effective_limits

SPEC = Spec(
    image="i", mode="supervise", runtime="runc", limits=Limits(), life=60.0, seccomp="{}", owner="me", threads=1
)
V1 = {"memory": SPEC.limits.memory, "memory_swap": SPEC.limits.memory, "pids": SPEC.limits.pids}
V2 = {"memory": SPEC.limits.memory, "swap": 0, "pids": SPEC.limits.pids}
V1_NAMES = ("memory", "cpu", "pids")
KERNEL = V1 | {"cpu_period": 100_000, "cpu_quota": 100_000}
SHOWN = {"Privileged": False, "PidMode": "", "Runtime": "runc"}  # what an engine shows though nobody asked for it


def as_asked() -> dict[str, Any]:
    """Return a HostConfig as an engine shows it that applied everything."""
    return SHOWN | creation(SPEC, ControlGroup("x", "cgroupfs"))["HostConfig"]


def test_what_was_asked_for_reads_back_and_is_kept() -> None:
    holds = effective_limits(SPEC, as_asked(), KERNEL)
    assert holds["pids"] == 256
    assert holds["kernel_memory"] == Limits().memory
    assert holds["runtime"] == "runc"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PidsLimit", None, "pids is None"),
        ("NetworkMode", "bridge", "network is bridge"),
        ("ReadonlyRootfs", False, "read_only is 0"),
        ("SecurityOpt", [], "seccomp is 0"),
        ("CapDrop", None, "capabilities_dropped"),
        ("CapAdd", ["KILL", "SETGID", "SETUID", "SYS_ADMIN"], "capabilities_added is KILL,SETGID,SETUID,SYS_ADMIN"),
        ("Privileged", True, "privileged is 1"),
        ("PidMode", "host", "process_namespace is host"),
        ("Runtime", "crun", "runtime is crun"),
        ("Ulimits", None, "nofile is None"),
    ],
)
def test_a_flag_that_the_engine_did_not_take_is_named(name: str, value: Any, said: str) -> None:
    with pytest.raises(InfrastructureError, match=said):
        effective_limits(SPEC, as_asked() | {name: value}, KERNEL)


def test_capabilities_read_back_in_any_order_and_with_the_prefix_that_newer_engines_give_them() -> None:
    shown = as_asked() | {"CapAdd": ["CAP_SETGID", "CAP_SETUID", "CAP_KILL"]}
    assert effective_limits(SPEC, shown, KERNEL)["capabilities_added"] == "KILL,SETGID,SETUID"


@pytest.mark.parametrize("name", ["memory", "memory_swap", "swap", "pids", "cpu_quota"])
@pytest.mark.parametrize("value", [1, UNLIMITED])
def test_a_limit_that_the_kernel_does_not_show_as_asked_is_named(name: str, value: int) -> None:
    with pytest.raises(InfrastructureError, match=f"the kernel's {name} is {value},"):
        effective_limits(SPEC, as_asked(), KERNEL | {name: value})


def files_under(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="ascii")


def located(group: ControlGroup, folder: Path, *lines: str) -> ControlGroup:
    """Find a group as a process in it is seen to lie."""
    files_under(folder, {"7/cgroup": "\n".join(lines)})
    return group.located(7, proc=folder)


def test_what_the_unified_hierarchy_shows_is_read_whole(tmp_path: Path) -> None:
    scope = "nnsandbox.slice/nnsandbox-a.slice/docker-c.scope"
    memory, pids = str(SPEC.limits.memory), str(SPEC.limits.pids)
    files = {"memory.max": memory, "memory.swap.max": "0", "pids.max": pids, "cpu.max": "100000 100000"}
    files_under(tmp_path, {"cgroup.controllers": "cpu memory pids"} | {f"{scope}/{k}": v for k, v in files.items()})
    group = located(ControlGroup("a", "systemd", root=tmp_path), tmp_path, f"0::/{scope}")
    assert group.limits() == V2 | {"cpu_quota": 100_000, "cpu_period": 100_000}
    assert effective_limits(SPEC, as_asked(), group.limits())["kernel_swap"] == 0
    files_under(tmp_path, {f"{scope}/memory.max": "max", f"{scope}/cpu.max": "max 100000"})
    with pytest.raises(InfrastructureError, match=r"memory is -1, not \d+; the kernel's cpu_quota is -1"):
        effective_limits(SPEC, as_asked(), group.limits())


def test_what_the_separate_hierarchies_show_is_read_whole(tmp_path: Path) -> None:
    memory, pids, group = str(SPEC.limits.memory), str(SPEC.limits.pids), "nn-sandbox/a/c"
    files_under(
        tmp_path,
        {
            f"memory/{group}/memory.limit_in_bytes": memory,
            f"memory/{group}/memory.memsw.limit_in_bytes": memory,
            f"pids/{group}/pids.max": pids,
            f"cpu/{group}/cpu.cfs_quota_us": "100000",
            f"cpu/{group}/cpu.cfs_period_us": "100000",
        },
    )
    shown = located(ControlGroup("a", "cgroupfs", root=tmp_path), tmp_path, *(f"3:{one}:/{group}" for one in V1_NAMES))
    assert shown.limits() == KERNEL
    files_under(tmp_path, {f"cpu/{group}/cpu.cfs_quota_us": "-1", f"pids/{group}/pids.max": "max"})
    with pytest.raises(InfrastructureError, match=r"pids is -1, not 256; the kernel's cpu_quota is -1"):
        effective_limits(SPEC, as_asked(), shown.limits())


@pytest.mark.parametrize(
    ("driver", "own", "files"),
    [
        (
            "systemd",
            "0::/nnsandbox.slice/nnsandbox-a.slice/docker-c.scope",
            {"cgroup.controllers": "memory", "nnsandbox.slice/nnsandbox-a.slice/memory.events": "oom 9\noom_kill 2"},
        ),
        (
            "cgroupfs",
            "4:memory:/nn-sandbox/a/c",
            {"memory/nn-sandbox/a/c/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2"},
        ),
    ],
)
def test_processes_that_died_for_want_of_memory_are_counted(
    tmp_path: Path, driver: str, own: str, files: Mapping[str, str]
) -> None:
    group = ControlGroup("a", driver, root=tmp_path)
    assert group.oom_kills() == 0
    files_under(tmp_path, files)
    (tmp_path / "nnsandbox.slice/nnsandbox-a.slice/docker-c.scope").mkdir(parents=True, exist_ok=True)
    assert located(group, tmp_path, own).oom_kills() == 2


def test_the_limit_on_files_is_what_a_process_inside_found() -> None:
    check_inside({"nofile": SPEC.limits.nofile}, SPEC.limits)
    with pytest.raises(InfrastructureError, match="may open 1048576 files, not 1024"):
        check_inside({"nofile": 1_048_576}, SPEC.limits)


def test_a_variable_that_nobody_asked_for_is_named_without_its_value() -> None:
    check_environment(["PATH=/usr/bin", "OMP_NUM_THREADS=1"])
    with pytest.raises(InfrastructureError, match="HTTP_PROXY") as raised:
        check_environment(["PATH=/usr/bin", "HTTP_PROXY=http://user:s3cret@proxy:3128"])
    assert "s3cret" not in str(raised.value)
