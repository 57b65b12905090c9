"""What the machine has to spare is read from the kernel, and what idled is what its counter grew by."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from orchestrator.machine import Headroom, Sample


def these(*samples: Sample) -> Callable[[], Sample]:
    return iter(samples).__next__


def test_idle_cores_are_what_all_cores_idled_since_the_last_question_for_each_second_of_it() -> None:
    headroom = Headroom(
        sample=these(Sample(10.0, 100.0), Sample(13.0, 102.0), Sample(13.0, 104.0), Sample(17.0, 106.0))
    )
    assert [headroom.cores() for _ in range(3)] == [1.5, 0.0, 2.0]


def test_two_questions_at_once_are_answered() -> None:
    assert Headroom(sample=these(Sample(10.0, 100.0), Sample(10.0, 100.0))).cores() == 0.0


def test_the_kernel_counts_what_all_cores_idled_since_the_start() -> None:
    before, now = Sample.now(), Sample.now()
    assert 0.0 < before.idle <= now.idle
    assert before.at <= now.at


def test_memory_is_no_more_than_is_installed() -> None:
    assert 0 < Headroom().memory() <= psutil.virtual_memory().total
