"""What the machine has to spare for containers that only wait: cores that idle, and memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from orchestrator.sections import SandboxConfig

IMPORTED = 512 << 20  # bytes, more than a container with torch in it takes
LOOK = 0.5  # seconds between looks at the machine


@dataclass(frozen=True)
class Sample:
    """The CPU seconds that all cores together have idled since the machine started, and when that was read."""

    idle: float
    at: float

    @classmethod
    def now(cls) -> Sample:
        """Read the kernel's counters."""
        times = psutil.cpu_times()
        return cls(idle=times.idle + getattr(times, "iowait", 0.0), at=time.monotonic())


class Headroom:
    """Says what is free; the cores are those that idled since it was last asked."""

    def __init__(self, *, patience: float = 30.0, sample: Callable[[], Sample] = Sample.now) -> None:
        """A start waits for memory `patience` seconds at most: what runs may need it longer than a claim can wait."""
        self._patience = patience
        self._sample = sample
        self._before = sample()

    def cores(self) -> float:
        """Return how many cores idled, on average, since the last call."""
        before, self._before = self._before, self._sample()
        return (self._before.idle - before.idle) / max(self._before.at - before.at, 1e-3)

    def memory(self) -> int:
        """Return the bytes that can be had without swapping."""
        return int(psutil.virtual_memory().available)

    def await_memory(self, closing: threading.Event) -> None:
        """Wait until there is memory for one more container, until patience ends, or until `closing` is set."""
        end = time.monotonic() + self._patience
        while self.memory() < IMPORTED and time.monotonic() < end and not closing.wait(LOOK):
            pass


def gpus(*, driver: Path = Path("/proc/driver/nvidia/gpus")) -> tuple[str, ...]:
    """Return the model names of the machine's NVIDIA GPUs in the order of their bus addresses, without loading CUDA."""
    names = []
    for path in sorted(driver.glob("*/information")):
        fields = dict(line.split(":", 1) for line in path.read_text(encoding="utf-8").splitlines() if ":" in line)
        names.append(fields.get("Model", "unknown").strip())
    return tuple(names)


def gpu_count(*, driver: Path = Path("/proc/driver/nvidia/gpus")) -> int:
    """Return how many NVIDIA GPUs a worker would see, without loading CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([part for part in visible.split(",") if part.strip() not in ("", "-1")])
    return len(list(driver.iterdir())) if driver.is_dir() else 0


def shortages(sandbox: SandboxConfig) -> Iterator[str]:
    """Yield what this machine lacks: CPUs for a container, or memory for all slots."""
    cpus = psutil.cpu_count() or 1
    if sandbox.limits.cpus > cpus:
        yield f"sandbox.limits.cpus is {sandbox.limits.cpus:g}, and this machine has {cpus}: the engine takes no more"
    needed, there = sandbox.slots * sandbox.limits.memory, psutil.virtual_memory().total
    if needed > there:
        yield (
            f"sandbox: {sandbox.slots} slots of {sandbox.limits.memory >> 20} MiB are more than the {there >> 20} MiB"
            " of this machine; lower sandbox.slots or sandbox.limits.memory"
        )
