"""One epoch through the feeder, or through torchvision's transforms and a DataLoader; prints its seconds as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import VisionDataset

from sandbox_image.data import PADDING, Feeder


class Images(VisionDataset):
    """Images in memory, one after the other as PIL, the way torchvision's CIFAR10 gives them."""

    def __init__(self, folder: Path, transform: Any) -> None:
        super().__init__(str(folder), transform=transform)
        self.data = np.ascontiguousarray(np.load(folder / "images.npy").transpose(0, 2, 3, 1))
        self.targets = np.load(folder / "labels.npy").tolist()

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.data[index])), self.targets[index]


def loader(job: dict[str, Any]) -> DataLoader[Any]:
    """Return torchvision's own way of doing what the feeder does."""
    steps = [
        transforms.RandomCrop(32, padding=PADDING),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(job["mean"], job["std"]),
    ]
    images = Images(Path(job["folder"]), transforms.Compose(steps))
    return DataLoader(images, batch_size=job["batch"], shuffle=True, num_workers=job["workers"])


def main(text: str) -> None:
    """Walk through one epoch and count."""
    job = json.loads(text)
    torch.set_num_threads(1)
    torch.manual_seed(job["seed"])
    if job["workers"] is None:
        epoch: Any = Feeder(folder=Path(job["folder"]), job=job, device=torch.device("cpu"))
    else:
        epoch = loader(job)
    began = time.monotonic()
    batches = images = 0
    for inputs, _ in epoch:
        batches += 1
        images += len(inputs)
    sys.stdout.write(json.dumps({"seconds": time.monotonic() - began, "batches": batches, "images": images}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
