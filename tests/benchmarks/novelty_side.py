"""The two indexes of near-duplicates that a query is put to: the project's, and datasketch's in its plain form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from datasketch import MinHash, MinHashLSH

from orchestrator.corpus import Index
from orchestrator.sections import NoveltyConfig

Shingles = npt.NDArray[np.uint64]

REFERENCE_THRESHOLD = 0.85  # of the reference implementation's LSH


class Plain:
    """Datasketch as its documentation shows it: one MinHash each, an LSH, and the estimate of what it proposes.

    `bulk` says whether a query's shingles are taken all at once, as its documentation advises for speed. The LSH looks
    for near-duplicates alone: unlike the project's index it names no nearest program where there is none.
    """

    def __init__(self, programs: Sequence[Shingles], config: NoveltyConfig) -> None:
        self._permutations, self._tau = config.permutations, config.tau
        self.bulk = False
        self._lsh = MinHashLSH(threshold=REFERENCE_THRESHOLD, num_perm=config.permutations)
        data = ([shingle.tobytes() for shingle in program] for program in programs)
        # built in bulk: only queries are timed
        self._known = list(MinHash.generator(data, num_perm=config.permutations))
        with self._lsh.insertion_session() as session:
            for number, sketch in enumerate(self._known):
                session.insert(number, sketch)

    def sketch(self, program: Shingles) -> MinHash:
        """Return the signature, updated shingle by shingle, or all at once."""
        made = MinHash(num_perm=self._permutations)
        if self.bulk:
            made.update_batch([shingle.tobytes() for shingle in program])
            return made
        for shingle in program:
            made.update(shingle.tobytes())
        return made

    def near(self, program: Shingles) -> bool:
        """Say whether anything nearer than tau is found."""
        made = self.sketch(program)
        return max((self._known[number].jaccard(made) for number in self._lsh.query(made)), default=0.0) > self._tau

    def owed(self, program: Shingles, planted: int) -> bool:
        """Say whether the signatures of the two alone are nearer than tau."""
        return self._known[planted].jaccard(self.sketch(program)) > self._tau


class Ours:
    """The project's index."""

    def __init__(self, programs: Sequence[Shingles], config: NoveltyConfig) -> None:
        self._programs, self._config = programs, config
        self._index = Index(config)
        for number, program in enumerate(programs):
            self._index.add(str(number), program.tobytes())

    def near(self, program: Shingles) -> bool:
        """Say whether anything nearer than tau is found."""
        found = self._index.nearest(program.tobytes())
        return found is not None and found.estimate > self._config.tau

    def owed(self, program: Shingles, planted: int) -> bool:
        """Say whether the signatures of the two alone are nearer than tau."""
        alone = Index(self._config)
        alone.add("planted", self._programs[planted].tobytes())
        found = alone.nearest(program.tobytes())
        return found is not None and found.estimate > self._config.tau
