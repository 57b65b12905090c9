"""A control group of its own around each container, so that its peaks can be read after it has gone."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
TOP = "nn-sandbox"


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

    @property
    def parent(self) -> str:
        """What the engine is given as the container's cgroup parent."""
        return f"nnsandbox-{self.name}.slice" if self.driver == "systemd" else f"/{TOP}/{self.name}"

    def _folder(self, controller: str) -> Path:
        base = ROOT if _unified() else ROOT / controller
        if self.driver == "systemd":
            return base / "nnsandbox.slice" / self.parent
        return base / TOP / self.name

    def usage(self) -> Usage:
        """Read the group's peak memory and CPU time; they stay readable after the container's end."""
        if _unified():
            folder = self._folder("")
            cpu = dict(line.split() for line in (_text(folder / "cpu.stat") or "").splitlines())
            used = cpu.get("usage_usec")
            return Usage(_number(folder / "memory.peak"), int(used) / 1e6 if used else None)
        nanoseconds = _number(self._folder("cpuacct") / "cpuacct.usage")
        peak = _number(self._folder("memory") / "memory.max_usage_in_bytes")
        return Usage(peak, nanoseconds / 1e9 if nanoseconds is not None else None)

    def limits(self, container_id: str) -> dict[str, int]:
        """Read back from the kernel what holds for the container: memory, swap and pids; absent where not shown."""
        found = {}
        name = f"docker-{container_id}.scope" if self.driver == "systemd" else container_id
        if _unified():
            folder = self._folder("") / name
            files = {"memory": folder / "memory.max", "pids": folder / "pids.max"}
        else:
            memory = self._folder("memory") / name
            files = {
                "memory": memory / "memory.limit_in_bytes",
                "memory_swap": memory / "memory.memsw.limit_in_bytes",
                "pids": self._folder("pids") / name / "pids.max",
                "cpu_quota": self._folder("cpu") / name / "cpu.cfs_quota_us",
                "cpu_period": self._folder("cpu") / name / "cpu.cfs_period_us",
            }
        for name, path in files.items():
            value = _number(path)
            if value is not None:
                found[name] = value
        return found

    def remove(self) -> None:
        """Remove the empty group from every hierarchy; one that the engine or systemd removed already is fine."""
        controllers = [""] if _unified() else [path.name for path in ROOT.iterdir() if path.is_dir()]
        for folder in map(self._folder, controllers):
            with contextlib.suppress(OSError):
                folder.rmdir()


def empty_groups(driver: str) -> list[str]:
    """Return the names of the groups in which no container is, running or stopped."""
    top = ROOT if _unified() else ROOT / "memory"
    folder = top / ("nnsandbox.slice" if driver == "systemd" else TOP)
    if not folder.is_dir():
        return []
    groups = [path for path in folder.iterdir() if path.is_dir()]
    empty = [path.name for path in groups if not any(child.is_dir() for child in path.iterdir())]
    return [name.removeprefix("nnsandbox-").removesuffix(".slice") for name in empty]


def _unified() -> bool:
    return (ROOT / "cgroup.controllers").exists()


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and text.isdigit() else None
