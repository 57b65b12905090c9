"""A control group of its own around each container, so that its peaks can be read after it has gone."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
TOP = "nn-sandbox"
UNLIMITED = -1  # as cgroup v1 writes it for the CPU quota; elsewhere the kernel writes "max"


@dataclass(frozen=True)
class Usage:
    """Peak memory in bytes (page cache included) and CPU time in seconds; None where the kernel shows neither."""

    peak_memory: int | None
    cpu_seconds: float | None


@dataclass(frozen=True)
class ControlGroup:
    """The parent group of one container, under the engine's cgroup driver (`cgroupfs` or `systemd`)."""

    name: str
    driver: str
    root: Path = ROOT

    @property
    def parent(self) -> str:
        """What the engine is given as the container's cgroup parent."""
        return f"nnsandbox-{self.name}.slice" if self.driver == "systemd" else f"/{TOP}/{self.name}"

    def _folder(self, controller: str) -> Path:
        base = self.root if _unified(self.root) else self.root / controller
        if self.driver == "systemd":
            return base / "nnsandbox.slice" / self.parent
        return base / TOP / self.name

    def _scope(self, container_id: str) -> str:
        return f"docker-{container_id}.scope" if self.driver == "systemd" else container_id

    def usage(self) -> Usage:
        """Read the group's peak memory and CPU time; they stay readable after the container's end."""
        if _unified(self.root):
            folder = self._folder("")
            cpu = dict(line.split() for line in (_text(folder / "cpu.stat") or "").splitlines())
            used = cpu.get("usage_usec")
            return Usage(_number(folder / "memory.peak"), int(used) / 1e6 if used else None)
        nanoseconds = _number(self._folder("cpuacct") / "cpuacct.usage")
        peak = _number(self._folder("memory") / "memory.max_usage_in_bytes")
        return Usage(peak, nanoseconds / 1e9 if nanoseconds is not None else None)

    def oom_kills(self, container_id: str) -> int:
        """Return how many processes of the container the kernel killed for want of memory; 0 where it does not show.

        On cgroup v1 that can be read only while the container is there.
        """
        if _unified(self.root):
            text = _text(self._folder("") / "memory.events")  # of the whole group, and it outlives the container
        else:
            text = _text(self._folder("memory") / self._scope(container_id) / "memory.oom_control")
        counts = dict(line.split() for line in (text or "").splitlines())
        return int(counts.get("oom_kill", 0))

    def limits(self, container_id: str) -> dict[str, int]:
        """Read back from the kernel what holds for the container, by name; absent where it is not shown.

        `memory` and `pids`; `cpu_quota` and `cpu_period` in microseconds; `memory_swap`, memory and swap together, on
        cgroup v1, and `swap` alone on v2. UNLIMITED where there is no limit.
        """
        name = self._scope(container_id)
        if _unified(self.root):
            folder = self._folder("") / name
            quota, _, period = (_text(folder / "cpu.max") or "").partition(" ")
            texts = {
                "memory": _text(folder / "memory.max"),
                "swap": _text(folder / "memory.swap.max"),
                "pids": _text(folder / "pids.max"),
                "cpu_quota": quota,
                "cpu_period": period,
            }
        else:
            memory, cpu = self._folder("memory") / name, self._folder("cpu") / name
            texts = {
                "memory": _text(memory / "memory.limit_in_bytes"),
                "memory_swap": _text(memory / "memory.memsw.limit_in_bytes"),
                "pids": _text(self._folder("pids") / name / "pids.max"),
                "cpu_quota": _text(cpu / "cpu.cfs_quota_us"),
                "cpu_period": _text(cpu / "cpu.cfs_period_us"),
            }
        return {name: UNLIMITED if text == "max" else int(text) for name, text in texts.items() if text}

    def remove(self) -> None:
        """Remove the empty group from every hierarchy; one that the engine or systemd removed already is fine."""
        names = [path.name for path in self.root.iterdir() if path.is_dir()]
        controllers = [""] if _unified(self.root) else names
        for folder in map(self._folder, controllers):
            with contextlib.suppress(OSError):
                folder.rmdir()


def removable(driver: str) -> bool:
    """Whether this user's empty groups go away: systemd collects them itself; under cgroupfs only root can."""
    folder = _top(driver)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return driver == "systemd" or os.access(there, os.W_OK)


def empty_groups(driver: str) -> list[str]:
    """Return the names of the groups in which no container is, running or stopped."""
    folder = _top(driver)
    if not folder.is_dir():
        return []
    empty = [path.name for path in folder.iterdir() if _is_empty(path)]
    return [name.removeprefix("nnsandbox-").removesuffix(".slice") for name in empty]


def _is_empty(folder: Path) -> bool:
    """Whether a group is there and has none below it; somebody else may remove it meanwhile."""
    try:
        return folder.is_dir() and not any(child.is_dir() for child in folder.iterdir())
    except FileNotFoundError:
        return False


def _top(driver: str) -> Path:
    """Return the folder that all our groups lie in; on cgroup v1 the memory controller's."""
    return (ROOT if _unified(ROOT) else ROOT / "memory") / ("nnsandbox.slice" if driver == "systemd" else TOP)


def _unified(root: Path) -> bool:
    return (root / "cgroup.controllers").exists()


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and text.isdigit() else None
