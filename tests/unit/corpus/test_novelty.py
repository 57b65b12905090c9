"""The index of near-duplicates: recall, determinism, ties."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from datasketch import MinHash

from orchestrator.corpus import Index
from orchestrator.corpus.novelty import SCHEME, as_set, jaccard
from orchestrator.sections import NoveltyConfig

CONFIG = NoveltyConfig()


def random_set(seed: int, size: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, size, dtype=np.uint64)


def near(members: np.ndarray, *, changed: int, seed: int) -> bytes:
    """Replace `changed` of the members."""
    return packed(np.concatenate([members[changed:], random_set(10**6 + seed, changed)]))


def packed(members: np.ndarray) -> bytes:
    return np.unique(members).astype("<u8").tobytes()


def test_pairs_at_the_threshold_are_found_and_estimated_well() -> None:
    index = Index(CONFIG)
    for seed in range(200):
        index.add(f"p{seed}", packed(random_set(seed)))
    errors = []
    for seed in range(200):
        found = index.nearest(near(random_set(seed), changed=21, seed=seed))  # J = 379 / 421 = 0.900
        assert found is not None
        assert found.entry_id == f"p{seed}"
        assert found.exact == pytest.approx(379 / 421)
        errors.append(found.estimate - found.exact)
    assert abs(float(np.mean(errors))) < 0.01
    assert float(np.std(errors)) < 0.03


@pytest.mark.parametrize("changed", [60, 150, 300, 390])
def test_the_nearest_is_known_however_far_it_is(changed: int) -> None:
    index = Index(CONFIG)
    for seed in range(20):
        index.add(f"p{seed}", packed(random_set(seed)))
    found = index.nearest(near(random_set(7), changed=changed, seed=7))
    assert changed == 390 or (found is not None and found.entry_id == "p7")


def test_signatures_are_those_of_datasketch() -> None:
    index = Index(CONFIG)
    for members in (random_set(1), random_set(2, 1), random_set(3, 0)):
        peer = MinHash(num_perm=CONFIG.permutations, seed=CONFIG.seed, scheme=SCHEME, hashfunc=int)
        peer.update_batch(members.tolist())
        assert (index.sketch(packed(members)).signature == peer.hashvalues).all()


@pytest.mark.parametrize("permutations", [1, 13, 64, 256])
def test_the_nearest_is_the_one_that_a_look_at_all_finds(permutations: int) -> None:
    index = Index(CONFIG.model_copy(update={"permutations": permutations}))
    made = np.random.default_rng(0)
    sets = [np.unique(made.integers(0, 60, 30, dtype=np.uint64)).tobytes() for _ in range(300)]
    signatures = np.array([index.sketch(members).signature for members in sets])
    for number, members in enumerate(sets):
        found = index.nearest(members)
        estimates = (signatures[:number] == signatures[number]).mean(axis=1)
        if not number or not estimates.max():
            assert found is None
        else:
            assert found is not None
            assert (found.entry_id, found.estimate) == (str(np.argmax(estimates)), estimates.max())
        index.add(str(number), members)


def test_of_equally_near_programs_the_first_added_counts() -> None:
    index = Index(CONFIG)
    for name in ("second-to-none", "a", "b"):
        index.add(name, packed(random_set(1)))
    found = index.nearest(packed(random_set(1)))
    assert found is not None
    assert (found.entry_id, found.estimate, found.exact) == ("second-to-none", 1.0, 1.0)


def test_an_empty_index_and_strangers_have_no_neighbour() -> None:
    index = Index(CONFIG)
    assert index.nearest(packed(random_set(1))) is None
    index.add("p", packed(random_set(2)))
    assert index.nearest(packed(random_set(1))) is None


def test_empty_sets_are_equal_to_each_other_alone() -> None:
    index = Index(CONFIG)
    index.add("empty", b"")
    found = index.nearest(b"")
    assert found is not None
    assert found.exact == 1.0
    assert index.nearest(packed(random_set(1))) is None


def test_a_broken_last_hash_is_not_looked_at() -> None:
    assert as_set(b"\x01" + b"\x00" * 7 + b"\xff\xff").tolist() == [1]


def test_the_exact_index_counts_common_and_all() -> None:
    assert jaccard(np.array([1, 2, 3], dtype=np.uint64), np.array([2, 3, 4], dtype=np.uint64)) == 0.5


SCRIPT = """
import numpy as np
from orchestrator.sections import NoveltyConfig
from orchestrator.corpus.novelty import Index
index = Index(NoveltyConfig())
sets = [np.unique(np.random.default_rng(n % 7).integers(0, 900, 300, dtype=np.uint64)).tobytes() for n in range(40)]
for number, members in enumerate(sets):
    print(index.nearest(members))
    index.add(str(number), members)
"""


def test_results_do_not_depend_on_the_hash_seed() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert "entry_id" in outputs.pop()


@pytest.mark.parametrize("common", [0, 4, 40])
def test_the_nearest_of_many_that_resemble_it_little_is_the_one_that_a_look_at_all_finds(common: int) -> None:
    index, size = Index(CONFIG), 600
    shared = random_set(-1 % 2**32, 40)[:common]
    sets = [packed(np.concatenate([shared, random_set(seed, 100)])) for seed in range(size)]
    for seed, members in enumerate(sets):
        index.add(str(seed), members)
    signatures = np.array([index.sketch(members).signature for members in sets])
    for seed in range(size, size + 20):
        asked = packed(np.concatenate([shared, random_set(seed, 100)]))
        agreeing = np.count_nonzero(signatures == index.sketch(asked).signature, axis=1)
        found = index.nearest(asked)
        if agreeing.max():
            assert found is not None
            assert (found.entry_id, found.estimate) == (str(np.argmax(agreeing)), agreeing.max() / CONFIG.permutations)
        else:
            assert found is None
