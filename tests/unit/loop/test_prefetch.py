"""A producer in a thread of its own: its items come in order, its failure reaches the owner."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from orchestrator.loop.prefetch import Ahead


def test_items_come_in_order_and_the_producer_is_not_waited_for() -> None:
    released = threading.Event()

    def produce(stopped: threading.Event) -> Iterator[int]:
        yield 1
        assert released.wait(10)
        yield 2

    ahead = Ahead(produce)
    items = iter(ahead)
    assert next(items) == 1
    released.set()
    assert list(items) == [2]
    ahead.finish()


def test_a_failure_ends_the_items_and_is_raised_to_the_owner() -> None:
    def produce(stopped: threading.Event) -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    ahead = Ahead(produce)
    assert list(ahead) == [1]
    with pytest.raises(ValueError, match="broken"):
        ahead.finish()


def test_a_stopped_producer_ends_at_its_next_item() -> None:
    ahead = Ahead(lambda stopped: itertools.count())
    items = iter(ahead)
    next(items)
    ahead.stop()
    ahead.finish()
    assert len(list(items)) >= 0
