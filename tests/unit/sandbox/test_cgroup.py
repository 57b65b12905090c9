"""A container's control group is where the kernel says that its process lies, whatever engine and driver made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.sandbox.cgroup import ControlGroup

PID = 4711
USER = "user.slice/user-1000.slice/user@1000.service"
V2 = {
    "memory.peak": "1024",
    "memory.events": "oom_kill 1",
    "memory.max": "4096",
    "memory.swap.max": "0",
    "pids.max": "64",
    "cpu.max": "100000 100000",
    "cpu.stat": "usage_usec 2500000\nuser_usec 1",
}
V1 = {
    "memory": {
        "memory.max_usage_in_bytes": "1024",
        "memory.limit_in_bytes": "4096",
        "memory.memsw.limit_in_bytes": "4096",
        "memory.oom_control": "oom_kill 1",
    },
    "cpuacct": {"cpuacct.usage": "2500000000"},
    "cpu": {"cpu.cfs_quota_us": "100000", "cpu.cfs_period_us": "100000"},
    "pids": {"pids.max": "64"},
}


def state(proc: Path, *lines: str) -> None:
    """Write what /proc states of the container's first process."""
    (proc / str(PID)).mkdir(parents=True)
    (proc / str(PID) / "cgroup").write_text("\n".join(lines) + "\n")


def unified(root: Path, own: str, *, parent: str) -> None:
    """Make a tree of cgroup v2; the parent counts, the container's own is limited."""
    (root / own).mkdir(parents=True)
    (root / "cgroup.controllers").write_text("cpu memory pids\n")
    for name, text in V2.items():
        counts = name in {"memory.peak", "memory.events", "cpu.stat"}
        (root / (parent if counts else own) / name).write_text(text + "\n")


@pytest.mark.parametrize(
    ("driver", "own", "parent", "below"),
    [
        ("cgroupfs", "nn-sandbox/a1x/c", "nn-sandbox/a1x", ""),
        ("systemd", "nnsandbox.slice/nnsandbox-a1x.slice/docker-c.scope", "nnsandbox.slice/nnsandbox-a1x.slice", ""),
        (
            "systemd",
            f"{USER}/nnsandbox.slice/nnsandbox-a1x.slice/docker-c.scope",
            f"{USER}/nnsandbox.slice/nnsandbox-a1x.slice",
            "",
        ),
        (
            "systemd",
            "nnsandbox.slice/nnsandbox-a1x.slice/libpod-c.scope",
            "nnsandbox.slice/nnsandbox-a1x.slice",
            "/container",
        ),
    ],
    ids=["cgroupfs", "systemd", "rootless", "libpod"],
)
def test_one_hierarchy_is_read_where_the_process_lies(
    tmp_path: Path, driver: str, own: str, parent: str, below: str
) -> None:
    state(tmp_path / "proc", f"0::/{own}{below}")
    unified(tmp_path / "cgroup", own, parent=parent)
    group = ControlGroup("a1x", driver, root=tmp_path / "cgroup").located(PID, proc=tmp_path / "proc")
    assert group.not_read() is None
    assert (group.usage().peak_memory, group.usage().cpu_seconds, group.oom_kills()) == (1024, 2.5, 1)
    limits = {"memory": 4096, "swap": 0, "pids": 64, "cpu_quota": 100_000, "cpu_period": 100_000}
    assert group.limits() == limits


@pytest.mark.parametrize("own", ["nn-sandbox/a1x/c", "nnsandbox.slice/nnsandbox-a1x.slice/docker-c.scope"])
def test_separate_hierarchies_are_read_where_the_process_lies(tmp_path: Path, own: str) -> None:
    root = tmp_path / "cgroup"
    state(tmp_path / "proc", f"5:cpu,cpuacct:/{own}", f"4:memory:/{own}", f"3:pids:/{own}", "1:name=systemd:/", "0::/")
    for controller, files in V1.items():
        (root / controller / own).mkdir(parents=True)
        for name, text in files.items():
            counts = name in {"memory.max_usage_in_bytes", "cpuacct.usage"}
            folder = root / controller / own
            ((folder.parent if counts else folder) / name).write_text(text + "\n")
    group = ControlGroup("a1x", "cgroupfs", root=root).located(PID, proc=tmp_path / "proc")
    assert group.not_read() is None
    assert (group.usage().peak_memory, group.usage().cpu_seconds, group.oom_kills()) == (1024, 2.5, 1)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (None, "process 4711 of the container cannot be seen from here"),
        ("0::/system.slice/ssh.service", "in no control group of its own"),
        ("0::/../nn-sandbox/a1x/c", "is not to be seen under"),
        ("0::/elsewhere/a1x/c", "is not to be seen under"),
    ],
    ids=["another machine", "somebody else's", "above our namespace", "not mounted"],
)
def test_what_cannot_be_read_is_said_with_why(tmp_path: Path, line: str | None, said: str) -> None:
    if line is not None:
        state(tmp_path / "proc", line)
    unified(tmp_path / "cgroup", "nn-sandbox/a1x/c", parent="nn-sandbox/a1x")
    group = ControlGroup("a1x", "cgroupfs", root=tmp_path / "cgroup").located(PID, proc=tmp_path / "proc")
    assert said in (group.not_read() or "")
    assert group.limits() == {}
    assert group.usage().peak_memory is None


def test_what_an_older_kernel_does_not_show_is_named(tmp_path: Path) -> None:
    own = "nn-sandbox/a1x/c"
    state(tmp_path / "proc", f"0::/{own}")
    unified(tmp_path / "cgroup", own, parent="nn-sandbox/a1x")
    (tmp_path / "cgroup/nn-sandbox/a1x/memory.peak").unlink()
    (tmp_path / "cgroup" / own / "memory.swap.max").unlink()
    group = ControlGroup("a1x", "cgroupfs", root=tmp_path / "cgroup").located(PID, proc=tmp_path / "proc")
    assert group.not_read() == "swap, peak memory"


@pytest.mark.parametrize(
    ("rootless", "place", "asked"),
    [
        (False, "", "--no-ask-password stop nnsandbox-a1x.slice"),
        (True, USER, "--user --no-ask-password stop nnsandbox-a1x.slice"),
    ],
)
def test_a_slice_is_ended_by_the_manager_that_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, asked: str, *, rootless: bool
) -> None:
    log = service_manager(tmp_path, monkeypatch, ending="exit 0")
    own = f"{place}/nnsandbox.slice/nnsandbox-a1x.slice/docker-c.scope".strip("/")
    state(tmp_path / "proc", f"0::/{own}")
    unified(tmp_path / "cgroup", own, parent=str(Path(own).parent))
    group = ControlGroup("a1x", "systemd", rootless=rootless, root=tmp_path / "cgroup")
    assert group.located(PID, proc=tmp_path / "proc").remove() is None
    assert log.read_text().strip() == asked


def test_a_slice_that_this_user_may_not_end_stays_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service_manager(tmp_path, monkeypatch, ending="echo 'Interactive authentication required.' >&2; exit 1")
    unified(tmp_path / "cgroup", "nnsandbox.slice/nnsandbox-a1x.slice", parent="nnsandbox.slice/nnsandbox-a1x.slice")
    group = ControlGroup("a1x", "systemd", root=tmp_path / "cgroup")
    assert group.remove() == "Interactive authentication required."


def test_a_slice_that_is_not_there_is_asked_of_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = service_manager(tmp_path, monkeypatch, ending="exit 1")
    unified(tmp_path / "cgroup", "x", parent="x")
    assert ControlGroup("a1x", "systemd", root=tmp_path / "cgroup").remove() is None
    assert not log.exists()


def service_manager(folder: Path, monkeypatch: pytest.MonkeyPatch, *, ending: str) -> Path:
    """Put a service manager's command first in the path that notes what it is asked; return its notes."""
    log, command = folder / "asked", folder / "bin" / "systemctl"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho "$@" >> {log}\n{ending}\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")
    return log


def test_folders_of_a_group_are_removed_where_they_are_looked_for(tmp_path: Path) -> None:
    for controller in ("memory", "pids"):
        (tmp_path / controller / "nn-sandbox/a1x").mkdir(parents=True)
    assert ControlGroup("a1x", "cgroupfs", root=tmp_path).remove() is None
    assert not list(tmp_path.glob("*/nn-sandbox/*"))
    (tmp_path / "memory/nn-sandbox/a1x/in-use").mkdir(parents=True)
    assert "nn-sandbox/a1x cannot be removed" in (ControlGroup("a1x", "cgroupfs", root=tmp_path).remove() or "")
