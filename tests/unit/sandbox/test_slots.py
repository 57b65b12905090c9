"""Slots are handed out one at a time; what is quarantined is handed out no more, and nobody waits for it for ever."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator.errors import InfrastructureError, NoSlotError
from orchestrator.sandbox.slots import Slot, Slots, broken_gpu

SECONDS = 60.0
ONE, TWO = Slot(index=0, gpu="0"), Slot(index=1, gpu="1")


class Journal:
    def __init__(self) -> None:
        self.lines: list[tuple[str, Mapping[str, Any]]] = []

    def __call__(self, event: str, data: Mapping[str, Any], *, durable: bool = True) -> None:
        assert durable
        self.lines.append((event, data))


def test_a_slot_comes_back_to_whoever_waits_for_it() -> None:
    slots = Slots([ONE], record=Journal(), patience=SECONDS)
    assert slots.take() == ONE
    with ThreadPoolExecutor(max_workers=1) as threads:
        waiting = threads.submit(slots.take)
        slots.give_back(ONE)
        assert waiting.result(timeout=SECONDS) == ONE


def test_a_quarantined_slot_is_handed_out_no_more_and_the_journal_says_why() -> None:
    journal = Journal()
    slots = Slots([ONE, TWO], record=journal, patience=SECONDS)
    assert slots.take() == ONE
    slots.quarantine(ONE, cause="stuck", curable=False)
    slots.give_back(ONE)
    assert slots.usable == (TWO,)
    for _ in range(2):
        assert slots.take() == TWO
        slots.give_back(TWO)
    assert journal.lines == [("slot_quarantine", {"slot": 0, "gpu": "0", "cause": "stuck"})]


def test_who_waits_for_the_last_slot_learns_that_there_is_none() -> None:
    slots = Slots([ONE], record=Journal(), patience=SECONDS)
    slots.take()
    with ThreadPoolExecutor(max_workers=1) as threads:
        waiting = threads.submit(slots.take)
        slots.quarantine(ONE, cause="stuck", curable=False)
        with pytest.raises(NoSlotError, match="no slot is left"):
            waiting.result(timeout=SECONDS)


def test_a_slot_that_is_well_again_is_waited_for_and_handed_out() -> None:
    journal = Journal()
    slots = Slots([ONE], record=journal, patience=SECONDS)
    slots.take()
    slots.quarantine(ONE, cause="stuck", curable=True)
    slots.give_back(ONE)
    with ThreadPoolExecutor(max_workers=1) as threads:
        waiting = threads.submit(slots.take)
        slots.restore(ONE)
        assert waiting.result(timeout=SECONDS) == ONE
    assert [event for event, _ in journal.lines] == ["slot_quarantine", "slot_restored"]


def test_a_slot_that_does_not_get_well_is_not_waited_for_without_end() -> None:
    slots = Slots([ONE], record=Journal(), patience=0.01)
    slots.take()
    slots.quarantine(ONE, cause="stuck", curable=True)
    slots.give_back(ONE)
    for _ in range(2):
        with pytest.raises(NoSlotError):
            slots.take()


@pytest.mark.parametrize("curable", [True, False])
def test_nobody_waits_for_a_slot_when_there_are_to_be_none(*, curable: bool) -> None:
    slots = Slots([ONE, TWO], record=Journal(), patience=SECONDS)
    slots.take()
    slots.take()
    slots.quarantine(ONE, cause="stuck", curable=curable)
    with ThreadPoolExecutor(max_workers=1) as threads:
        waiting = threads.submit(slots.take)
        slots.close()
        with pytest.raises(NoSlotError):
            waiting.result(timeout=SECONDS)
    slots.give_back(TWO)
    with pytest.raises(NoSlotError):
        slots.take()


@pytest.mark.parametrize(
    ("dead", "slot", "usable", "found"),
    [
        ({"0"}, ONE, (ONE, TWO), "no 0"),
        (set(), ONE, (ONE, TWO), None),
        ({"0", "1"}, ONE, (ONE, TWO), None),
        ({"0"}, ONE, (ONE,), None),
        ({None}, Slot(index=0, gpu=None), (Slot(index=0, gpu=None), Slot(index=1, gpu=None)), None),
    ],
    ids=["broken", "sound", "the engine", "the last", "no GPU"],
)
def test_a_gpu_is_broken_only_where_another_is_not(
    dead: set[str | None], slot: Slot, usable: tuple[Slot, ...], found: str | None
) -> None:
    def prove(gpu: str | None) -> None:
        if gpu in dead:
            raise InfrastructureError(f"no {gpu}")

    assert broken_gpu(slot, usable, prove=prove) == found
