"""Near-duplicate programs: MinHash proposes and decides, the exact Jaccard index stands beside (paper, Appendix A)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from orchestrator.config import NoveltyConfig
from orchestrator.records import Neighbour

if TYPE_CHECKING:
    from datasketch import MinHashLSH

SCHEME = "affine64"
RECALL = 0.99

Shingles = npt.NDArray[np.uint64]
Signature = npt.NDArray[np.uint64]


def as_set(shingles: bytes) -> Shingles:
    """Return little-endian 64-bit hashes as a sorted array of unique ones; a broken last hash is not looked at."""
    whole = len(shingles) // 8 * 8
    return np.unique(np.frombuffer(shingles[:whole], dtype="<u8").astype(np.uint64))


def jaccard(one: Shingles, other: Shingles) -> float:
    """Return the exact Jaccard index of two shingle sets; two empty sets are equal."""
    common = np.intersect1d(one, other, assume_unique=True).size
    union = one.size + other.size - common
    return common / union if union else 1.0


def bands(permutations: int, retrieval: float) -> tuple[int, int]:
    """Return how many bands of how many rows propose a pair of Jaccard index `retrieval` with probability 0.99.

    Of all such choices it is the one with the longest bands, which proposes the fewest pairs that are far apart.
    """
    best = (permutations, 1)
    for rows in range(1, permutations + 1):
        number = permutations // rows
        if 1.0 - (1.0 - retrieval**rows) ** number >= RECALL:
            best = (number, rows)
    return best


class Index:
    """Programs in the order in which they were added, and the nearest of them to any other.

    Locality-sensitive hashing proposes neighbours at `retrieval` and nearer; where it finds none that near, all
    signatures are scanned, so that the nearest is known however far away it is. Of equally near ones the first
    added counts. Nothing depends on timing or on the interpreter's hash seed.
    """

    def __init__(self, config: NoveltyConfig) -> None:
        from datasketch import MinHash, MinHashLSH

        self._config = config
        blank = MinHash(num_perm=config.permutations, seed=config.seed, scheme=SCHEME, hashfunc=int)
        self._permutations = blank.permutations
        self._lsh: MinHashLSH = MinHashLSH(
            num_perm=config.permutations, params=bands(config.permutations, config.retrieval)
        )
        self._signatures: Signature = np.empty((64, config.permutations), dtype=np.uint64)
        self._ids: list[str] = []
        self._sets: list[Shingles] = []

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, entry_id: str, shingles: bytes) -> None:
        """Add a program under a name; names are only handed back and need not differ."""
        members = as_set(shingles)
        sketch = self._sketch(members)
        position = len(self._ids)
        if position == len(self._signatures):
            self._signatures = np.concatenate([self._signatures, np.empty_like(self._signatures)])
        self._signatures[position] = sketch.hashvalues
        self._lsh.insert(position, sketch, check_duplication=False)
        self._ids.append(entry_id)
        self._sets.append(members)

    def nearest(self, shingles: bytes) -> Neighbour | None:
        """Return the program with the highest estimated Jaccard index, or None where all share nothing with it."""
        if not self._ids:
            return None
        members = as_set(shingles)
        sketch = self._sketch(members)
        positions = np.array(sorted(self._lsh.query(sketch)), dtype=np.intp)
        found = self._best(sketch.hashvalues, positions)
        if found is None or found[1] < self._config.retrieval:
            found = self._best(sketch.hashvalues, np.arange(len(self._ids)))
        if found is None or found[1] == 0.0:
            return None
        position, estimate = found
        exact = jaccard(members, self._sets[position])
        return Neighbour(entry_id=self._ids[position], estimate=estimate, exact=exact)

    def _sketch(self, members: Shingles) -> Any:
        from datasketch import MinHash

        sketch = MinHash(
            seed=self._config.seed,
            scheme=SCHEME,
            hashfunc=int,
            num_perm=self._config.permutations,
            permutations=self._permutations,
        )
        sketch.update_batch(members.tolist())
        return sketch

    def _best(self, signature: Signature, positions: npt.NDArray[np.intp]) -> tuple[int, float] | None:
        if not positions.size:
            return None
        estimates = (self._signatures[positions] == signature).mean(axis=1)
        first = int(np.argmax(estimates))
        return int(positions[first]), float(estimates[first])
