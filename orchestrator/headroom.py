"""What the machine has to spare for containers that only wait: cores that idle, and memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

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
