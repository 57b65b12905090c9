"""A small run comes through whatever happens to it, with the ledgers of an undisturbed one and nothing left behind."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from tests.faults import faults
from tests.faults.bench import Bench, Result, bench
from tests.faults.damage import changed_bytes

SEED = "short"
KILLS = 4
BYTES = 60


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """An engine of the suite's own, and an undisturbed run."""
    with bench(tmp_path_factory.mktemp("faults")) as made:
        yield made


def draw(name: str) -> random.Random:
    return random.Random(f"{SEED} {name}")  # noqa: S311 - it must repeat


@pytest.mark.docker
@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_orchestrator_goes_on_as_if_nothing_had_been(here: Bench, number: int) -> None:
    found = faults.kill_orchestrator(here, draw(f"kill {number}"))
    assert found.survived, found


@pytest.mark.docker
@pytest.mark.parametrize(
    "fault",
    [
        faults.kill_every_worker,
        faults.kill_engine,
        faults.remove_container,
        faults.signal_container,
        faults.fill_disk,
        faults.start_two,
    ],
    ids=lambda fault: fault.__name__,
)
def test_a_run_comes_through(here: Bench, fault: Callable[[Bench, random.Random], Result]) -> None:
    found = fault(here, draw(fault.__name__))
    assert found.survived, found


@pytest.mark.docker
def test_every_changed_byte_of_a_finished_run_is_found(here: Bench) -> None:
    for damage in changed_bytes(here, draw("bytes"), count=BYTES):
        assert damage.met, damage
