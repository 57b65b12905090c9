"""Near-duplicate programs: MinHash decides, the exact Jaccard index stands beside it (paper, Appendix A)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.records import Neighbour
from orchestrator.sections import NoveltyConfig

SCHEME = "affine64"
PERMUTED = 32  # permutations that are applied at a time: what they give stays in the processor's cache
COARSE = 6  # bits of each hash that all programs are first compared by
PLANES = 16  # bits of each hash that are compared before whole hashes are
FEW = 256  # programs whose whole hashes are compared at once rather than more of their bits
WORD = 64  # bits
BLOCK = 1 << 14  # programs that are compared at a time, for the same reason

Shingles = npt.NDArray[np.uint64]
Signature = npt.NDArray[np.uint64]
Planes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.uint32]


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

    Every signature is looked at, so that the nearest is known however far away it is. The lowest bits of every hash are
    compared first, which takes a few milliseconds for a hundred thousand programs, and whole hashes only of those that
    may be the nearest by their bits. Where that leaves many, as it does of a program that resembles none, more bits are
    compared before. Of equally near ones the first added counts. Nothing depends on timing or on the interpreter's hash
    seed.

    The bits lie in planes, one for each of the lowest bits, in the order (plane, word of 64 permutations, program), so
    that 64 permutations of thousands of programs are compared at once.
    """

    def __init__(self, config: NoveltyConfig) -> None:
        from datasketch import MinHash

        blank = MinHash(num_perm=config.permutations, seed=config.seed, scheme=SCHEME, hashfunc=int)
        factors, terms = blank.permutations
        self._factors = np.asarray(factors, dtype=np.uint64)[:, None]
        self._terms = np.asarray(terms, dtype=np.uint64)[:, None]
        self._signatures: Signature = np.empty((64, config.permutations), dtype=np.uint64)
        self._words = -(-config.permutations // WORD)
        self._planes: Planes = np.empty((PLANES, self._words, 64), dtype=np.uint64)
        self._ids: list[str] = []
        self._sets: list[Shingles] = []

    def __len__(self) -> int:
        return len(self._ids)

    def sketch(self, shingles: bytes) -> Sketch:
        """Return what `shingles` (little-endian 64-bit hashes) look like to this index; it takes linear time."""
        members = as_set(shingles)
        signature = np.full(len(self._factors), np.iinfo(np.uint64).max, dtype=np.uint64)
        if members.size:
            mixed = _mixed(members)
            for start in range(0, len(signature), PERMUTED):
                rows = slice(start, start + PERMUTED)
                signature[rows] = (self._factors[rows] * mixed + self._terms[rows]).min(axis=1)
        return Sketch(members=members, signature=signature)

    def add(self, entry_id: str, shingles: bytes | Sketch) -> None:
        """Add a program under a name; names are only handed back and need not differ."""
        sketch = self._sketched(shingles)
        position = len(self._ids)
        if position == len(self._signatures):
            self._signatures = np.concatenate([self._signatures, np.empty_like(self._signatures)])
            self._planes = np.concatenate([self._planes, np.empty_like(self._planes)], axis=2)
        self._signatures[position] = sketch.signature
        self._planes[:, :, position] = self._cut(sketch.signature)
        self._ids.append(entry_id)
        self._sets.append(sketch.members)

    def nearest(self, shingles: bytes | Sketch) -> Neighbour | None:
        """Return the program with the highest estimated Jaccard index, or None if all share nothing with it."""
        if not self._ids:
            return None
        sketch = self._sketched(shingles)
        wanted = self._cut(sketch.signature)
        differing = np.zeros((self._words, len(self._ids)), dtype=np.uint64)
        bounds = self._bounds(differing, wanted, slice(0, COARSE))
        position, agreeing = self._best(sketch.signature, np.flatnonzero(bounds == bounds.max())[:FEW])
        left = np.flatnonzero(bounds >= max(agreeing, 1))
        if len(left) > FEW:
            bounds = self._bounds(differing, wanted, slice(COARSE, PLANES))
            left = np.flatnonzero(bounds >= max(agreeing, 1))
        if len(left):
            position, agreeing = self._best(sketch.signature, left)
        if agreeing == 0:
            return None
        exact = jaccard(sketch.members, self._sets[position])
        return Neighbour(entry_id=self._ids[position], estimate=agreeing / len(sketch.signature), exact=exact)

    def _sketched(self, shingles: bytes | Sketch) -> Sketch:
        return shingles if isinstance(shingles, Sketch) else self.sketch(shingles)

    def _cut(self, signature: Signature) -> Planes:
        """Return the lowest bits of each hash as (plane, word); beyond the last hash they are zero."""
        bits = np.zeros((PLANES, self._words * WORD), dtype=np.uint8)
        for plane in range(PLANES):
            bits[plane, : len(signature)] = (signature >> np.uint64(plane)) & np.uint64(1)
        return np.packbits(bits, axis=1).view(np.uint64)

    def _bounds(self, differing: Planes, wanted: Planes, planes: slice) -> Counts:
        """Return for every program in how many hashes it agrees by all bits so far: no fewer than in whole hashes.

        `differing` (word, program) has a bit for each hash that is known to differ; those of `planes` are added.
        """
        size, beyond = len(self._ids), self._words * WORD - len(self._factors)
        found = np.empty(size, dtype=np.uint32)
        for start in range(0, size, BLOCK):
            block = slice(start, min(start + BLOCK, size))
            agreeing = np.zeros(block.stop - start, dtype=np.uint32)
            for word in range(self._words):
                known = differing[word, block]
                for plane in range(planes.start, planes.stop):
                    known |= self._planes[plane, word, block] ^ wanted[plane, word]
                agreeing += np.bitwise_count(~known)
            found[block] = agreeing - np.uint32(beyond)
        return found

    def _best(self, signature: Signature, positions: npt.NDArray[np.intp]) -> tuple[int, int]:
        """Return which of `positions` agrees in most hashes, and in how many."""
        agreeing = np.count_nonzero(self._signatures[positions] == signature, axis=1)
        first = int(np.argmax(agreeing))
        return int(positions[first]), int(agreeing[first])


def _mixed(hashes: Shingles) -> Shingles:
    """Return `hashes` spread evenly by MurmurHash3's 64-bit finalizer, as datasketch does before it permutes."""
    mixed = hashes ^ (hashes >> np.uint64(33))
    mixed *= np.uint64(0xFF51AFD7ED558CCD)
    mixed ^= mixed >> np.uint64(33)
    mixed *= np.uint64(0xC4CEB9FE1A85EC53)
    mixed ^= mixed >> np.uint64(33)
    return mixed
