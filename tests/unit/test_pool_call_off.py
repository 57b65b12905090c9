"""Whoever leaves waits for no container that is still getting ready."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.headroom import Headroom
from orchestrator.pool import Pool, Slot, Starting
from orchestrator.sandbox import Container

SECONDS = 60.0  # in which a call that was off would have shown


class Unready:
    """A container that never gets ready, and notices that it was called off."""

    def __init__(self) -> None:
        self.off = threading.Event()
        self.container = cast("Container", self)

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
