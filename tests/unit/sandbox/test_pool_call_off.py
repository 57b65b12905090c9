"""Whoever leaves waits for no container that is still getting ready."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.machine import Headroom
from orchestrator.sandbox import Parser, Pool
from orchestrator.sandbox.connection import Arrival, Connection
from orchestrator.sandbox.container import Container
from orchestrator.sandbox.pool import Starting
from orchestrator.sandbox.slots import Slot

SECONDS = 60.0  # in which a call that was off would have shown


class Unready:
    """A container that never gets ready, and notices that it was called off."""

    def __init__(self) -> None:
        self.off = threading.Event()
        self.container = cast("Container", self)
        self.connection = cast("Connection", self)

    def call_off(self) -> None:
        self.off.set()

    def ready(self) -> Container:
        if self.off.wait(SECONDS):
            raise InfrastructureError("called off")
        raise AssertionError("nobody called it off")


def test_a_claim_that_waits_for_a_container_ends_with_the_pool_and_starts_no_other() -> None:
    started: list[Unready] = []

    def start(slot: Slot) -> Starting:
        assert slot.index == 0
        started.append(Unready())
        return cast("Starting", started[-1])

    slot = Slot(index=0, gpu=None)
    with (
        Pool(start, slots=[slot], needed=1.0, ahead="import", headroom=Headroom()) as pool,
        ThreadPoolExecutor(max_workers=1) as threads,
    ):
        claim = threads.submit(pool.claim, slot)
        pool.call_off()
        with pytest.raises(InfrastructureError, match="called off"):
            claim.result(timeout=SECONDS)
    assert len(started) <= 2  # the one that was waited for; another, where the claim came before the pool's end


class Mute:
    """A parser container that never says a word until it is called off."""

    def __init__(self) -> None:
        self.off, self.closed = threading.Event(), threading.Event()
        self.connection = cast("Connection", self)

    def call_off(self) -> None:
        self.off.set()

    def receive(self, *, deadline: float) -> Arrival | None:
        assert deadline
        if self.off.wait(SECONDS):
            raise InfrastructureError("called off")
        raise AssertionError("nobody called it off")

    def close(self) -> None:
        self.closed.set()


def test_a_parser_that_is_closed_while_its_container_starts_leaves_none_behind() -> None:
    created, may_start = threading.Event(), threading.Event()
    mute = Mute()

    def start() -> Container:
        created.set()
        assert may_start.wait(SECONDS)
        return cast("Container", mute)

    parser = Parser(start, uses=1, deadline=1.0, ready=SECONDS, shingle=10)
    with ThreadPoolExecutor(max_workers=2) as threads:
        asked = threads.submit(parser.parse, b"", complete=False)
        assert created.wait(SECONDS)
        closed = threads.submit(parser.__exit__, None, None, None)
        assert not closed.done()  # it waits for what the engine is about to start
        may_start.set()
        closed.result(timeout=SECONDS)
        assert mute.closed.is_set()
        with pytest.raises(InfrastructureError, match="called off"):
            asked.result(timeout=SECONDS)
    with pytest.raises(InfrastructureError, match="was closed"):
        parser.parse(b"", complete=False)
