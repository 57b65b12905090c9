"""A novelty query against 10,000 and 100,000 programs: the index against datasketch's LSH and estimate, plainly used.

Programs are made up: families of fifty that share a core, so that a program has a few relatives at a Jaccard index of a
third. Half of the queries are an entry with a few shingles changed, around tau; a quarter are new members of a family,
and a quarter resemble nothing. Recall counts the planted entries that a signature alone says are nearer than tau, and
asks how many of them are found.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np

from orchestrator.sections import NoveltyConfig
from tests.benchmarks.novelty_side import Ours, Plain, Shingles
from tests.benchmarks.result import Comparison, Goal, Sample
from tests.benchmarks.row import Row, Samples, Sides

SIZES = (10_000, 100_000)
FAMILY = 50
CORE, OWN = 200, 200
QUERIES = 200


def entries(count: int) -> Iterator[Shingles]:
    """Yield made-up programs as arrays of hashed shingles."""
    random = np.random.default_rng(0)
    for number in range(count):
        if number % FAMILY == 0:
            core = random.integers(0, 2**64, CORE, dtype=np.uint64)
        yield np.concatenate([core, random.integers(0, 2**64, OWN, dtype=np.uint64)])


def queries(programs: Sequence[Shingles], count: int) -> list[tuple[Shingles, int | None]]:
    """Return queries, every other one near the program whose number stands beside it."""
    random = np.random.default_rng(1)
    made: list[tuple[Shingles, int | None]] = []
    for number in range(count):
        near = int(random.integers(len(programs)))
        changed = (int(random.integers(5, 35)), OWN, int(random.integers(5, 35)), CORE + OWN)[number % 4]
        fresh = random.integers(0, 2**64, changed, dtype=np.uint64)
        made.append((np.concatenate([programs[near][:-changed], fresh]), near if number % 2 == 0 else None))
    return made


def ask(side: Plain | Ours, asked: Sequence[tuple[Shingles, int | None]], owed: Sequence[bool]) -> Sample:
    """Put every query, and return the milliseconds that one takes on average, and the recall."""
    took: list[float] = []
    answers: list[bool] = []
    for program, _ in asked:
        began = time.perf_counter()
        answers.append(side.near(program))
        took.append(1000 * (time.perf_counter() - began))
    found = [answer for answer, must in zip(answers, owed, strict=True) if must]
    near, far, strange = (statistics.median(took[first::step]) for first, step in ((0, 2), (1, 4), (3, 4)))
    return Sample(
        statistics.fmean(took),
        {
            "recall": sum(found) / len(found),
            "owed": len(found),
            "near_ms": near,
            "far_ms": far,
            "strange_ms": strange,
        },
    )


def in_bulk(side: Plain, asked: Sequence[tuple[Shingles, int | None]], owed: Sequence[bool]) -> Sample:
    """Put every query to datasketch with all of its shingles hashed at once."""
    side.bulk = True
    sample = ask(side, asked, owed)
    side.bulk = False
    return sample


@contextmanager
def sides(*, quick: bool) -> Iterator[Sides]:
    """Build both indexes in both sizes."""
    config = NoveltyConfig()
    found: dict[str, Callable[[], Sample]] = {}
    for named in SIZES:
        programs = list(entries(named // 50 if quick else named))
        asked = queries(programs, QUERIES)
        for name, side in (("index", Ours(programs, config)), ("datasketch", Plain(programs, config))):
            owed = [planted is not None and side.owed(program, planted) for program, planted in asked]
            found[f"{name} {named:,}"] = partial(ask, side, asked, owed)
            if isinstance(side, Plain):
                found[f"{name} in bulk {named:,}"] = partial(in_bulk, side, asked, owed)
    yield found


def remarks(samples: Samples) -> list[str]:
    """Say how many of the near ones each side finds."""
    return [
        f"{name}: recall {taken[0].details['recall']:.3f} of {taken[0].details['owed']}, near"
        f" {taken[0].details['near_ms']:.2f} ms, far {taken[0].details['far_ms']:.2f} ms, like nothing"
        f" {taken[0].details['strange_ms']:.2f} ms"
        for name, taken in samples.items()
    ]


ROW = Row(
    name="novelty",
    unit="ms",
    rounds=5,
    code=("orchestrator/corpus/novelty.py", "tests/benchmarks/novelty.py", "tests/benchmarks/novelty_side.py"),
    comparisons=tuple(
        Comparison(f"{peer}, {size:,} entries", f"index {size:,}", (f"{side} {size:,}",), goal)
        for size in SIZES
        for peer, side, goal in (
            ("datasketch", "datasketch", Goal("at most", 1.0)),
            ("datasketch in bulk", "datasketch in bulk", Goal("reported")),
        )
    ),
    sides=sides,
    remarks=remarks,
)
