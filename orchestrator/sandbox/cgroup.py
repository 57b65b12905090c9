"""A control group of its own around each container, so that its peaks can be read after it has gone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from orchestrator.sandbox import slices

ROOT = Path("/sys/fs/cgroup")
PROC = Path("/proc")
TOP = "nn-sandbox"
UNLIMITED = -1  # as cgroup v1 writes it for the CPU quota; elsewhere the kernel writes "max"


@dataclass(frozen=True)
class Usage:
    """Peak memory in bytes (page cache included) and CPU time in seconds; None where the kernel shows neither."""

    peak_memory: int | None
    cpu_seconds: float | None


@dataclass(frozen=True)
class Place:
    """The folder of a container's own group, and that of the parent that outlives it."""

    parent: Path
    own: Path


@dataclass(frozen=True)
class ControlGroup:
    """The parent group of one container, under the engine's cgroup driver (`cgroupfs` or `systemd`).

    Where it lies is only known once the container has started (`located`): engines and drivers differ in that. By
    controller then, or under the empty name where there is one hierarchy for all; until then nothing can be read.
    """

    name: str
    driver: str
    rootless: bool = False
    root: Path = ROOT
    places: Mapping[str, Place] = field(default_factory=dict)
    unread: str | None = "it has not been looked for"

    @property
    def parent(self) -> str:
        """What the engine is given as the container's cgroup parent."""
        return f"nnsandbox-{self.name}.slice" if self.driver == "systemd" else f"/{TOP}/{self.name}"

    def located(self, pid: int, *, proc: Path = PROC) -> ControlGroup:
        """Return this group with the places that the kernel states for the container's first process.

        A process of another machine, or one in a group that is not the container's alone, gives no place.
        """
        text = _text(proc / str(pid) / "cgroup") if pid > 0 else None
        if text is None:
            return replace(self, places={}, unread=f"process {pid} of the container cannot be seen from here")
        places = {}
        for line in text.splitlines():
            _, controllers, path = line.split(":", 2)
            unified = _unified(self.root)
            for controller in controllers.split(","):
                base = self.root if unified else self.root / controller
                place = self._place(base, path)
                if (controller == "") is unified and place is not None:
                    places[controller] = place
        return replace(self, places=places, unread=None if places else self._elsewhere(text))

    def _elsewhere(self, text: str) -> str:
        if self.name in text:
            return f"the container's control group is not to be seen under {self.root}"
        return "the container's process lies in no control group of its own"

    def _place(self, base: Path, path: str) -> Place | None:
        """Return the part of a group's path that was made for this container; None without one that is there."""
        parts, made = PurePosixPath(path).parts[1:], {self.name, f"nnsandbox-{self.name}.slice"}
        depth = next((depth for depth, part in enumerate(parts, 1) if part in made), None)
        if depth is None or ".." in parts:
            return None
        place = Place(base.joinpath(*parts[:depth]), base.joinpath(*parts[: depth + 1]))
        return place if place.own.is_dir() else None

    def _read(self, controller: str, name: str, *, own: bool = False) -> str | None:
        place = self.places.get(controller)
        return None if place is None else _text((place.own if own else place.parent) / name)

    def usage(self) -> Usage:
        """Read the group's peak memory and CPU time; they stay readable after the container's end."""
        if _unified(self.root):
            used = _counts(self._read("", "cpu.stat")).get("usage_usec")
            return Usage(_number(self._read("", "memory.peak")), int(used) / 1e6 if used else None)
        nanoseconds = _number(self._read("cpuacct", "cpuacct.usage"))
        peak = _number(self._read("memory", "memory.max_usage_in_bytes"))
        return Usage(peak, nanoseconds / 1e9 if nanoseconds is not None else None)

    def oom_kills(self) -> int:
        """Return how many processes of the container the kernel killed for want of memory; 0 where it does not show.

        On cgroup v1 that can be read only while the container is there.
        """
        if _unified(self.root):
            text = self._read("", "memory.events")  # of the whole group, and it outlives the container
        else:
            text = self._read("memory", "memory.oom_control", own=True)
        return int(_counts(text).get("oom_kill", 0))

    def limits(self) -> dict[str, int]:
        """Read back from the kernel what holds for the container, by name; absent where it is not shown.

        `memory` and `pids`; `cpu_quota` and `cpu_period` in microseconds; `memory_swap`, memory and swap together, on
        cgroup v1, and `swap` alone on v2. UNLIMITED where there is no limit.
        """
        return {name: UNLIMITED if text == "max" else int(text) for name, text in self._limits().items() if text}

    def not_read(self) -> str | None:
        """Say what the kernel does not show of the container's limits and use, and why if that is known."""
        if self.unread is not None:
            return self.unread
        usage = self.usage()
        shown = self._limits() | {"peak memory": usage.peak_memory, "CPU time": usage.cpu_seconds}
        return ", ".join(name for name, value in shown.items() if value in (None, "")) or None

    def _limits(self) -> dict[str, str | None]:
        if _unified(self.root):
            quota, _, period = (self._read("", "cpu.max", own=True) or "").partition(" ")
            return {
                "memory": self._read("", "memory.max", own=True),
                "swap": self._read("", "memory.swap.max", own=True),
                "pids": self._read("", "pids.max", own=True),
                "cpu_quota": quota,
                "cpu_period": period,
            }
        return {
            "memory": self._read("memory", "memory.limit_in_bytes", own=True),
            "memory_swap": self._read("memory", "memory.memsw.limit_in_bytes", own=True),
            "pids": self._read("pids", "pids.max", own=True),
            "cpu_quota": self._read("cpu", "cpu.cfs_quota_us", own=True),
            "cpu_period": self._read("cpu", "cpu.cfs_period_us", own=True),
        }

    def remove(self) -> str | None:
        """Remove the empty group from every hierarchy; return None, or why it stays behind.

        One that somebody removed already is fine.
        """
        if self.driver == "systemd":
            there = (slices.top(self._base(), rootless=self.rootless) / self.parent).exists()
            there = there or any(place.parent.exists() for place in self.places.values())
            return slices.stop(self.parent, rootless=self.rootless) if there else None
        folders = [base / TOP / self.name for base in _hierarchies(self.root)]
        folders += [place.parent for place in self.places.values()]
        for folder in folders:
            with contextlib.suppress(OSError):
                folder.rmdir()
        stays = next((folder for folder in folders if folder.exists()), None)
        return None if stays is None else f"{stays} cannot be removed by this user, or is in use"

    def _base(self) -> Path:
        return self.root if _unified(self.root) else self.root / "memory"


def removable(driver: str, *, rootless: bool = False) -> bool:
    """Whether this user may remove the groups of containers that have ended."""
    if driver == "systemd":
        return slices.may_stop(rootless=rootless)
    folder = _top(driver)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(there, os.W_OK)


def empty_groups(driver: str, *, rootless: bool = False) -> list[str]:
    """Return the names of the groups in which no container is, running or stopped."""
    folder = _top(driver, rootless=rootless)
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


def _top(driver: str, *, rootless: bool = False) -> Path:
    """Return the folder that all our groups lie in; on cgroup v1 the memory controller's."""
    base = ROOT if _unified(ROOT) else ROOT / "memory"
    return slices.top(base, rootless=rootless) if driver == "systemd" else base / TOP


def _hierarchies(root: Path) -> list[Path]:
    """Return where control groups are mounted: once, or once for each controller."""
    return [root] if _unified(root) else [path for path in root.iterdir() if path.is_dir()]


def _unified(root: Path) -> bool:
    return (root / "cgroup.controllers").exists()


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _counts(text: str | None) -> dict[str, str]:
    """Take apart lines of a name and a number."""
    return dict(line.split() for line in (text or "").splitlines())
