"""What the machine has to spare for containers that only wait."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil


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

    def __init__(self) -> None:
        self._before = Sample.now()

    def cores(self) -> float:
        """Return how many cores idled, on average, since the last call."""
        before, self._before = self._before, Sample.now()
        return (self._before.idle - before.idle) / max(self._before.at - before.at, 1e-3)

    def memory(self) -> int:
        """Return the bytes that can be had without swapping."""
        return int(psutil.virtual_memory().available)
