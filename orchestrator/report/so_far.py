"""What a cycle that is not complete has come to so far, in one sentence; it is in no number of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from orchestrator.run import RunFolder
from orchestrator.run.history import History, histories


def so_far(cycle: int, found: Iterable[History]) -> str:
    """Return how far `cycle` is, from the histories of its candidates."""
    states, accuracies = Counter[str](), []
    for history in found:
        states[history.state] += 1
        if history.accuracy is not None:
            accuracies.append(history.accuracy)
    ended = states.total() - states["pending"]
    parts = [f"{states.total()} generated", f"{ended} evaluated", f"{len(accuracies)} valid"]
    if accuracies:
        parts.append(f"the best at {max(accuracies):.1%}")
    parts.append(f"{states['admitted']} admitted")
    return f"Cycle {cycle} is not complete, and in no number here. So far: {', '.join(parts)}."


def unfinished(run: RunFolder, found: Sequence[History] | None = None) -> Iterator[str]:
    """Yield how far each cycle is that has begun and is not complete; `found` are the histories, if they were read."""
    every = list(histories(run)) if found is None else found
    for folder in run.cycles():
        if not folder.summary.whole:
            yield so_far(folder.number, (one for one in every if one.cycle == folder.number))
