"""What a program is handed to train on: each batch once, as a DataLoader would, and no batch of one image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sandbox_image.data import Feeder

COUNT = 33


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", random.integers(0, 256, (COUNT, 3, 8, 8)).astype(np.uint8))
    np.save(tmp_path / "labels.npy", np.arange(COUNT).astype(np.uint8))
    return tmp_path


def feeder(folder: Path, **changes: Any) -> Feeder:
    job = {"augmentation": "none", "seed": 1, "mean": [0.5] * 3, "std": [0.25] * 3, "batch": 8, "single": "merge"}
    return Feeder(folder=folder, job=job | changes, device=torch.device("cpu"))


@pytest.mark.parametrize(
    ("batch", "single", "sizes"),
    [(8, "merge", [8, 8, 8, 9]), (8, "keep", [8, 8, 8, 8, 1]), (7, "merge", [7, 7, 7, 7, 5]), (1, "merge", [1] * 32),
     (64, "merge", [33])],
)  # fmt: skip
def test_a_last_batch_of_one_joins_the_one_before_unless_the_protocol_keeps_it(
    folder: Path, batch: int, single: str, sizes: list[int]
) -> None:
    fed = feeder(folder, batch=batch, single=single)
    if batch == 1:
        sizes = [*sizes[:-1], 2] if single == "merge" else [1] * COUNT
    labels = [batch[1] for batch in fed]
    assert [len(one) for one in labels] == sizes
    assert len(fed) == len(sizes)
    assert sorted(torch.cat(labels).tolist()) == list(range(COUNT))
    assert (fed.samples, fed.batches, list(fed)) == (COUNT, len(sizes), [])


def test_it_has_what_a_data_loader_is_asked_for(folder: Path) -> None:
    fed = feeder(folder)
    assert len(fed.dataset) == COUNT
    assert (fed.batch_size, fed.num_workers, fed.drop_last, fed.pin_memory, fed.sampler) == (8, 0, False, False, None)
    image, label = fed.dataset[5]
    assert (tuple(image.shape), label) == ((3, 8, 8), 5)
    assert [label for _, label in fed.dataset] == list(range(COUNT))
    assert fed.samples == COUNT + 1
