"""What the machine has to spare is read from the kernel, and never more than there is."""

from __future__ import annotations

import psutil

from orchestrator.headroom import Headroom


def test_idle_cores_are_no_more_than_there_are_and_memory_no_more_than_is_installed() -> None:
    headroom = Headroom()
    sum(number for number in range(10_000_000))
    assert 0.0 <= headroom.cores() <= 1.25 * (psutil.cpu_count() or 1)  # the kernel counts in ticks
    assert 0 < headroom.memory() <= psutil.virtual_memory().total


def test_two_questions_at_once_are_answered() -> None:
    headroom = Headroom()
    headroom.cores()
    assert headroom.cores() >= 0.0
