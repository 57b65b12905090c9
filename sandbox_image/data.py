"""The one pass over the training split that a candidate is given, and the normalisation that validation shares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

PADDING = 4
MIRRORED_SHARE = 0.5


class Normaliser:
    """Turns N x 3 x R x R uint8 images into float32 with the training split's mean and deviation per channel."""

    def __init__(self, *, mean: list[float], std: list[float], device: torch.device) -> None:
        self._mean = torch.tensor(mean, device=device).view(1, -1, 1, 1) * 255.0
        self._scale = 1.0 / (torch.tensor(std, device=device).view(1, -1, 1, 1) * 255.0)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the normalised copy of `images` on their own device."""
        return (images.float() - self._mean) * self._scale


class Images:
    """What a feeder hands out, one by one: a data set with a length, as programs ask a DataLoader for it."""

    def __init__(self, feeder: Feeder) -> None:
        self._feeder = feeder

    def __len__(self) -> int:
        return self._feeder.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        """Return an image as it is normalised, and its label; that it was looked at counts as a sample."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._feeder.one(index)


class Feeder:
    """An iterable of `(inputs, labels)` with a length, which hands out each batch once and counts what it gave.

    A second pass is empty: every iterator over the feeder continues where the last one stopped. It has what programs
    commonly ask a DataLoader for.
    """

    num_workers = 0
    pin_memory = False
    drop_last = False
    persistent_workers = False
    timeout = 0
    sampler = None
    batch_sampler = None
    collate_fn = None
    generator = None

    def __init__(self, *, folder: Path, job: dict[str, Any], device: torch.device) -> None:
        self._images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        self._labels = np.load(folder / "labels.npy", allow_pickle=False).astype(np.int64)
        self._device = device
        self._augment = job["augmentation"] == "crop_flip"
        self._random = torch.Generator().manual_seed(int(job["seed"]))
        self._normalise = Normaliser(mean=job["mean"], std=job["std"], device=device)
        order = torch.randperm(len(self._labels), generator=self._random).numpy()
        size = int(job["batch"])
        self._batches = [order[start : start + size] for start in range(0, len(order), size)]
        if job.get("single") == "merge" and len(self._batches) > 1 and len(self._batches[-1]) == 1:
            self._batches[-2:] = [np.concatenate(self._batches[-2:])]
        self.count = len(order)
        self.batch_size = size
        self.dataset = Images(self)
        self.passes = 0
        self.batches = 0
        self.samples = 0

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        self.passes += 1
        while self.batches < len(self._batches):
            chosen = self._batches[self.batches]
            self.batches += 1
            self.samples += len(chosen)
            yield self._batch(chosen)

    def one(self, index: int) -> tuple[torch.Tensor, int]:
        """Return one image of the training split, without augmentation, and its label."""
        self.samples += 1
        image = torch.from_numpy(self._images[[index]]).to(self._device)
        return self._normalise(image)[0], int(self._labels[index])

    def _batch(self, chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.from_numpy(self._images[chosen]).to(self._device)
        if self._augment:
            images = crop_and_flip(images, self._random)
        labels = torch.from_numpy(self._labels[chosen]).to(self._device)
        return self._normalise(images), labels


def crop_and_flip(images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Pad each of B x C x R x R uint8 images with 4 black pixels, crop it back anywhere, mirror half of them."""
    count, _, height, width = images.shape
    device = images.device
    top, left = (torch.randint(0, 2 * PADDING + 1, (count,), generator=random).to(device) for _ in range(2))
    mirrored = (torch.rand(count, generator=random) < MIRRORED_SHARE).to(device)
    padded = torch.nn.functional.pad(images, (PADDING,) * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    cropped = windows[torch.arange(count, device=device), :, top, left]
    return torch.where(mirrored.view(-1, 1, 1, 1), cropped.flip(3), cropped)
