"""Which seeds stand for the others: the best of every group of near-duplicates, and a diverse few of all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orchestrator.corpus.curation import Drop, Stage, sift
from orchestrator.corpus.novelty import Index, as_set, jaccard
from orchestrator.corpus.qualify import Seed
from orchestrator.sections import NoveltyConfig


def deduplicate(novelty: NoveltyConfig, seeds: Sequence[Seed]) -> tuple[list[Seed], Stage]:
    """Keep the best of every group of near-duplicates: by accuracy, then fewer tokens, then name.

    A seed is dropped if its estimated Jaccard index with a better one that was kept exceeds tau, so that no two of
    those that are left are near-duplicates of each other. The nearest of those that were kept represents it.
    """
    index = Index(novelty)
    known = {seed.name: seed for seed in seeds}

    def why(seed: Seed) -> Drop | None:
        sketch = index.sketch(seed.shingles)
        near = index.nearest(sketch)
        if near is None or near.estimate <= novelty.tau:
            index.add(seed.name, sketch)
            return None
        kept = known[near.entry_id]
        detail = f"of {kept.name}: {near.estimate:.3f}, exact {near.exact:.3f}; {_better(kept, seed)}"
        return Drop(seed.name, "near-duplicate", detail, representative=kept.name)

    return sift("near-duplicates", sorted(seeds, key=_rank), why)


def select(seeds: Sequence[Seed], count: int) -> list[Seed]:
    """Return up to `count` seeds that differ from each other: the best first, then always the one farthest from all.

    Distance is one minus the exact Jaccard index; of equally far ones the better counts.
    """
    ranked = sorted(seeds, key=_rank)
    sets = [as_set(seed.shingles) for seed in ranked]
    nearest = np.zeros(len(ranked))
    chosen: list[int] = []
    while len(chosen) < min(count, len(ranked)):
        nearest[chosen] = np.inf
        position = int(np.argmin(nearest))
        chosen.append(position)
        nearest = np.maximum(nearest, [jaccard(sets[position], other) for other in sets])
    return [ranked[position] for position in chosen]


def _rank(seed: Seed) -> tuple[float, int, str]:
    return (-(_measured(seed) or 0.0), seed.tokens, seed.name)


def _measured(seed: Seed) -> float | None:
    return seed.qualification.accuracy if seed.qualification else seed.lemur_accuracy


def _better(kept: Seed, dropped: Seed) -> str:
    """Say why the one and not the other represents both; the order is that of `_rank`."""
    one, other = _measured(kept), _measured(dropped)
    if (one or 0.0) != (other or 0.0):
        return f"first-epoch accuracy {one:.4f} against {'none' if other is None else f'{other:.4f}'}"
    if kept.tokens != dropped.tokens:
        return f"as accurate, {kept.tokens} tokens against {dropped.tokens}"
    return "as accurate and as long, the earlier name"
