"""A process of its own that fetches CIFAR-10, CIFAR-100 or SVHN with torchvision and writes plain arrays.

Used as `python -m orchestrator.evaluation.torchvision_arrays DATASET FOLDER TARGET.npz`.
Torchvision checks the sums of the files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

CHANNELS = 3


def main(arguments: list[str]) -> None:
    """Read DATASET from FOLDER, into which it is fetched if it is not there, and write TARGET."""
    dataset, folder, target = arguments
    Path(folder).mkdir(parents=True, exist_ok=True)
    write(Path(target), train=_open(dataset, folder, train=True), test=_open(dataset, folder, train=False))


def write(target: Path, *, train: Any, test: Any) -> None:
    """Write train_images, train_labels, test_images, test_labels (N x 3 x 32 x 32 and N, uint8) of torchvision sets."""
    np.savez(
        target,
        train_images=channels_first(np.asarray(train.data)),
        train_labels=_labels(train),
        test_images=channels_first(np.asarray(test.data)),
        test_labels=_labels(test),
    )


def channels_first(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return N x 3 x 32 x 32 from torchvision's CIFAR (N x 32 x 32 x 3) or SVHN (already N x 3 x 32 x 32) arrays."""
    channels_last = images.shape[-1] == CHANNELS
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2) if channels_last else images)


def _labels(split: Any) -> npt.NDArray[np.uint8]:
    """Return the labels of one split: torchvision calls them `targets` in CIFAR and `labels` in SVHN."""
    labels = split.targets if hasattr(split, "targets") else split.labels
    return np.asarray(labels).astype(np.uint8)


def _open(dataset: str, folder: str, *, train: bool) -> Any:
    from torchvision.datasets import CIFAR10, CIFAR100, SVHN

    if dataset == "svhn":
        return SVHN(folder, split="train" if train else "test", download=True)
    return {"cifar10": CIFAR10, "cifar100": CIFAR100}[dataset](folder, train=train, download=True)


if __name__ == "__main__":
    main(sys.argv[1:])
