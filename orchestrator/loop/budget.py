"""How many candidates a cycle generates, and in which seeded chunks: a pure function of what was decided before."""

from __future__ import annotations

import math
from collections.abc import Sequence

from orchestrator.records import GenerationChunk, derived_seed
from orchestrator.sections import Budget, dynamic


def next_round(budget: Budget, cycle: int, admitted: Sequence[bool]) -> int:
    """Return how many more candidates to generate; 0 ends the sampling of `cycle`.

    `admitted` says for every candidate so far, in order, whether it was admitted: each round begins only when all
    before it are decided, so neither timing nor a resume changes the number. A fixed budget is one round. A dynamic
    one scales with the acceptance rate seen so far, in whole chunks, up to the hard cap.
    """
    generated = len(admitted)
    if not dynamic(budget, cycle):
        first = budget.first if cycle == 1 else None
        return (first or budget.candidates) if generated == 0 else 0
    missing = budget.admitted - sum(admitted)
    if missing <= 0:
        return 0
    wanted = math.ceil(missing * (generated + 1) / (sum(admitted) + 1))
    return min(math.ceil(wanted / budget.chunk) * budget.chunk, budget.cap - generated)


def chunks(budget: Budget, *, seed: int, cycle: int, start: int, end: int) -> tuple[GenerationChunk, ...]:
    """Return the chunks of candidates `start` to `end` (exclusive); `start` is a border between chunks."""
    return tuple(
        GenerationChunk(
            index=first // budget.chunk,
            size=min(budget.chunk, end - first),
            seed=derived_seed(seed, "generate", cycle, first // budget.chunk),
        )
        for first in range(start, end, budget.chunk)
    )


def whole(budget: Budget, *, present: int, end: int) -> int:
    """Return how many of the first `present` completions belong to whole chunks of a round that ends at `end`."""
    return present if present == end else present - present % budget.chunk
