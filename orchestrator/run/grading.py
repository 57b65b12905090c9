"""What predictions are worth: the one rule, for a verdict and for the check that repeats it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def accuracy(predictions: bytes, *, labels: npt.NDArray[np.integer], classes: int) -> float:
    """Return the share of right ones among N little-endian unsigned 16-bit class indices, in the order of `labels`.

    Raises:
        ValueError: another number of predictions, or one that is no class.
    """
    if len(predictions) != 2 * len(labels):
        raise ValueError(f"{len(predictions)} bytes of predictions, not {2 * len(labels)}")
    found = np.frombuffer(predictions, dtype="<u2")
    if found.size and int(found.max()) >= classes:
        raise ValueError(f"class {int(found.max())} of {classes}")
    return float(np.mean(found == labels))
