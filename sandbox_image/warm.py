"""What a waiting container imports when it is told to, before a program comes: what optimizers need."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


def import_optimizers() -> None:
    """Make an optimizer, which imports torch's compiler the first time: half as long again as torch itself."""
    import torch

    with uncollected():
        torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector off: an import makes hundreds of thousands of objects, and nearly all of them stay."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
