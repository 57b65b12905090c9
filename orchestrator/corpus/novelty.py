"""Near-duplicate programs: MinHash decides, the exact Jaccard index stands beside it (paper, Appendix A)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.records import Neighbour
from orchestrator.sections import NoveltyConfig

SCHEME = "affine64"

Shingles = npt.NDArray[np.uint64]
Signature = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Sketch:
    """A program as the index sees it: its shingle set, and the least hash of it under each permutation."""

    members: Shingles
    signature: Signature


def as_set(shingles: bytes) -> Shingles:
    """Return little-endian 64-bit hashes as a sorted array of unique ones; a broken last hash is not looked at."""
    whole = len(shingles) // 8 * 8
    return np.unique(np.frombuffer(shingles[:whole], dtype="<u8").astype(np.uint64))


def jaccard(one: Shingles, other: Shingles) -> float:
    """Return the exact Jaccard index of two shingle sets; two empty sets are equal."""
    common = np.intersect1d(one, other, assume_unique=True).size
    union = one.size + other.size - common
    return common / union if union else 1.0


class Index:
    """The programs that were added, and the nearest of them to any other.

    Every signature is looked at, so that the nearest is known however far away it is: a few milliseconds
    for ten thousand programs, beside the seconds that an evaluation takes. Of equally near ones the first added counts.
    Nothing depends on timing or on the interpreter's hash seed.
    """

    def __init__(self, config: NoveltyConfig) -> None:
        from datasketch import MinHash

        self._blank = MinHash(num_perm=config.permutations, seed=config.seed, scheme=SCHEME, hashfunc=int)
        self._signatures: Signature = np.empty((64, config.permutations), dtype=np.uint64)
        self._ids: list[str] = []
        self._sets: list[Shingles] = []

    def __len__(self) -> int:
        return len(self._ids)

    def sketch(self, shingles: bytes) -> Sketch:
        """Return what `shingles` (little-endian 64-bit hashes) look like to this index; it takes linear time."""
        members = as_set(shingles)
        minhash = self._blank.copy()
        minhash.update_batch(members.tolist())
        return Sketch(members=members, signature=minhash.hashvalues)

    def add(self, entry_id: str, shingles: bytes | Sketch) -> None:
        """Add a program under a name; names are only handed back and need not differ."""
        sketch = self._sketched(shingles)
        position = len(self._ids)
        if position == len(self._signatures):
            self._signatures = np.concatenate([self._signatures, np.empty_like(self._signatures)])
        self._signatures[position] = sketch.signature
        self._ids.append(entry_id)
        self._sets.append(sketch.members)

    def nearest(self, shingles: bytes | Sketch) -> Neighbour | None:
        """Return the program with the highest estimated Jaccard index, or None if all share nothing with it."""
        if not self._ids:
            return None
        sketch = self._sketched(shingles)
        agreeing = (self._signatures[: len(self)] == sketch.signature).sum(axis=1, dtype=np.uint32)
        position = int(np.argmax(agreeing))
        if not agreeing[position]:
            return None
        estimate = int(agreeing[position]) / len(sketch.signature)
        exact = jaccard(sketch.members, self._sets[position])
        return Neighbour(entry_id=self._ids[position], estimate=estimate, exact=exact)

    def _sketched(self, shingles: bytes | Sketch) -> Sketch:
        return shingles if isinstance(shingles, Sketch) else self.sketch(shingles)
