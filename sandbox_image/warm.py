"""What a waiting container does before a program comes: it imports torch, and, when told, what optimizers need."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from typing import Any


def import_torch() -> dict[str, Any]:
    """Import torch, and all that comes before a candidate's first statement, for a process that forks later.

    No parallel operation runs: after one, a child would hang in OpenMP. Returns the versions.
    """
    with _uncollected():
        import numpy.random
        import torch

        import sandbox_image.stages  # noqa: F401 - for the child

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
