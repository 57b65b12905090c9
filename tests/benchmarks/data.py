"""One epoch's data path, 10,000 images in batches of 64, cropped and flipped: the feeder against torchvision.

The peer is a torchvision data set that holds its images in memory as CIFAR10 does, under the usual transforms, with
DataLoader's best number of workers. A candidate trains for one epoch, so starting the workers is part of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from orchestrator.evaluation import Prepared, prepare
from orchestrator.sections import Protocol
from tests.benchmarks.machine import settle
from tests.benchmarks.result import Comparison, Goal, Sample
from tests.benchmarks.row import CACHE, Row, Samples, Sides
from tests.support.checkout import CHECKOUT

IMAGES = 10_000
BATCH = 64
WORKERS = (0, 1, 2, 3, 4)
SIDE = "tests.benchmarks.data_side"


def epoch(job: dict[str, object], workers: int | None) -> Sample:
    """Run one epoch in a fresh process, with the feeder or with so many workers; seconds."""
    settle(seconds=5.0)
    text = json.dumps(job | {"workers": workers})
    done = subprocess.run([sys.executable, "-m", SIDE, text], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    return Sample(said.pop("seconds"), said)


@contextmanager
def sides(*, quick: bool) -> Iterator[Sides]:
    """Lay the images out as the sandbox has them."""
    count = 1000 if quick else IMAGES
    prepared = prepare(Protocol(dataset="fashion-mnist", train_samples=count, validation_samples=200), CACHE)
    job = describe(prepared)
    peers = {f"{number} workers": partial(epoch, job, number) for number in WORKERS}
    yield {"feeder": partial(epoch, job, None), **peers}


def describe(prepared: Prepared) -> dict[str, object]:
    """Return what both sides read and do."""
    return {
        "folder": str(Path(prepared.train_dir)),
        "mean": list(prepared.mean),
        "std": list(prepared.std),
        "batch": BATCH,
        "augmentation": "crop_flip",
        "seed": 0,
    }


def remarks(samples: Samples) -> list[str]:
    """Say what the feeder's time comes to."""
    first = samples["feeder"][0].details
    return [f"{first['images']} images in {first['batches']} batches on each side; one torch thread"]


ROW = Row(
    name="data",
    unit="s",
    rounds=5,
    code=("sandbox_image/data.py", "tests/benchmarks/data.py", "tests/benchmarks/data_side.py"),
    comparisons=(
        Comparison(
            "torchvision and DataLoader",
            "feeder",
            tuple(f"{number} workers" for number in WORKERS),
            Goal("at least", 10.0),
        ),
    ),
    sides=sides,
    remarks=remarks,
)
