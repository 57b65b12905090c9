"""The budget is a function of decisions, in whole chunks, within its cap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.loop.budget import chunks, next_round, whole
from orchestrator.sections import Budget

FIXED = Budget(candidates=50, dynamic_from=11, chunk=16)
DYNAMIC = Budget(dynamic_from=1, admitted=30, cap=400, chunk=16)


def test_a_fixed_budget_is_one_round() -> None:
    assert next_round(FIXED, 1, []) == 50
    assert next_round(FIXED, 10, [False] * 50) == 0
    assert next_round(Budget(dynamic_from=None), 22, []) == 50


def test_the_first_cycle_may_be_larger_than_the_others() -> None:
    budget = Budget(first=64, candidates=32, dynamic_from=3)
    assert [next_round(budget, cycle, []) for cycle in (1, 2)] == [64, 32]
    assert next_round(budget, 1, [False] * 64) == 0
    assert next_round(budget, 3, []) == next_round(Budget(dynamic_from=3), 3, [])


def test_a_dynamic_budget_begins_with_what_it_needs_at_least() -> None:
    assert next_round(FIXED, 11, []) == 32


def test_a_dynamic_budget_scales_with_the_acceptance_rate_and_ends_when_met() -> None:
    assert next_round(DYNAMIC, 1, [True] * 15 + [False] * 17) == 32
    assert next_round(DYNAMIC, 1, [True] * 3 + [False] * 29) == 224
    assert next_round(DYNAMIC, 1, [True] * 30 + [False] * 2) == 0


@given(st.lists(st.booleans(), max_size=400))
def test_a_dynamic_budget_never_passes_its_cap_and_never_stalls_below_it(admitted: list[bool]) -> None:
    size = next_round(DYNAMIC, 1, admitted)
    assert 0 <= size <= 400 - len(admitted)
    assert (size == 0) == (sum(admitted) >= 30 or len(admitted) == 400)


def test_chunks_cover_the_candidates_once_and_their_seeds_differ() -> None:
    made = chunks(FIXED, seed=0, cycle=1, start=0, end=50)
    assert [chunk.size for chunk in made] == [16, 16, 16, 2]
    assert [chunk.index for chunk in made] == [0, 1, 2, 3]
    assert (
        len({chunk.seed for chunk in made} | {chunk.seed for chunk in chunks(FIXED, seed=0, cycle=2, start=0, end=50)})
        == 8
    )
    assert chunks(FIXED, seed=0, cycle=1, start=16, end=50) == made[1:]


def test_only_whole_chunks_count() -> None:
    assert [whole(FIXED, present=present, end=50) for present in (0, 15, 16, 47, 49, 50)] == [0, 0, 16, 32, 48, 50]
