"""The learning rate over a run: linear warm-up, then half a cosine down to zero."""

from __future__ import annotations

import math


def warmup(asked: int, *, steps: int) -> int:
    """Return the warm-up steps to use: those asked for, but at most a quarter of a run that is short."""
    return min(asked, steps // 4)


def factor(step: int, *, warmup: int, steps: int) -> float:
    """Return the share of the peak learning rate at `step`, counted from 0; no step of the run has share 0."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
