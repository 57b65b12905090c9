"""What a waiting container does before a program comes: it imports torch, and, when told, what optimizers need."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from typing import Any


def import_torch() -> dict[str, Any]:
    """Import torch for a process that forks later, without a parallel operation; return the versions."""
    with _uncollected():
        import numpy
        import torch

        torch.set_num_threads(1)
    gc.freeze()  # neither the collector here nor that of the child walks, and so copies, what is there for good
    return {"torch": torch.__version__, "numpy": numpy.__version__, "python": sys.version.split()[0]}


def import_optimizers() -> None:
    """Make an optimizer, which imports torch's compiler the first time: half as long again as torch itself."""
    import torch

    with _uncollected():
        torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector off: an import makes hundreds of thousands of objects, and nearly all of them stay."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
