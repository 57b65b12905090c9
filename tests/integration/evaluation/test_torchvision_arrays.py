"""CIFAR and SVHN are read from files in the official formats, and without the internet it is said what to put where.

Torchvision compares its files with the sums of the real ones, so these are read by its classes with other sums.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from torchvision.datasets import CIFAR10, CIFAR100, SVHN

from orchestrator.errors import InfrastructureError
from orchestrator.evaluation import Prepared, prepare
from orchestrator.evaluation.originals import CLASSES, Raw, read_arrays, read_raw
from orchestrator.evaluation.torchvision_arrays import write
from orchestrator.sections import Protocol

RANDOM = np.random.default_rng(3)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()  # noqa: S324 - as torchvision does


def archive(path: Path, files: dict[str, bytes]) -> str:
    """Write the tar file `path`, and return its sum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return md5(path.read_bytes())


def batch(labels: list[int], *, key: str) -> tuple[np.ndarray[Any, Any], bytes]:
    """Random images, and the pickled batch that holds them as rows of 3,072 bytes: red, green, blue."""
    images = RANDOM.integers(0, 256, (len(labels), 3, 32, 32)).astype(np.uint8)
    rows = {"data": images.reshape(len(labels), -1), key: labels, "filenames": ["x.png"] * len(labels)}
    if key == "fine_labels":
        rows["coarse_labels"] = [0] * len(labels)
    return images, pickle.dumps(rows, protocol=2)


def cifar(kind: Any, folder: Path, *, key: str, labels: dict[str, list[int]]) -> tuple[Any, Any, dict[str, Any]]:
    """Both splits of a CIFAR set as torchvision reads them out of an archive in `folder`, and the images by file."""
    batches = {name: batch(values, key=key) for name, values in labels.items()}
    meta = pickle.dumps({kind.meta["key"]: [str(label) for label in range(100)]}, protocol=2)
    files = {name: content for name, (_, content) in batches.items()} | {kind.meta["filename"]: meta}
    sums = {name: md5(content) for name, content in files.items()}
    found = archive(folder / kind.filename, {f"{kind.base_folder}/{name}": text for name, text in files.items()})
    changed = {
        "tgz_md5": found,
        "train_list": [[name, sums[name]] for name in labels if not name.startswith("test")],
        "test_list": [[name, sums[name]] for name in labels if name.startswith("test")],
        "meta": kind.meta | {"md5": md5(meta)},
    }
    small = type(kind.__name__, (kind,), changed)
    splits = (small(folder, train=train, download=True) for train in (True, False))
    return *splits, {name: images for name, (images, _) in batches.items()}


def svhn(folder: Path, *, labels: dict[str, list[int]]) -> tuple[Any, Any, dict[str, Any]]:
    """The same of SVHN: a MATLAB file a split, images as 32 x 32 x 3 x N, labels as N x 1, with 10 for the digit 0."""
    folder.mkdir(parents=True, exist_ok=True)
    shown, listed = {}, {}
    for split, values in labels.items():
        path = folder / f"{split}_32x32.mat"
        shown[split] = RANDOM.integers(0, 256, (len(values), 3, 32, 32)).astype(np.uint8)
        y = np.array([[value or 10] for value in values], dtype=np.uint8)
        scipy.io.savemat(path, {"X": shown[split].transpose(2, 3, 1, 0), "y": y})
        listed[split] = ["", path.name, md5(path.read_bytes())]
    small = type("SVHN", (SVHN,), {"split_list": listed})
    return small(folder, split="train", download=True), small(folder, split="test", download=True), shown


def prepared(dataset: str, train: Any, test: Any, folder: Path) -> Prepared:
    write(folder / "arrays.npz", train=train, test=test)
    raw = Raw(*read_arrays(folder / "arrays.npz"), classes=CLASSES[dataset])
    return prepare(Protocol.model_validate({"dataset": dataset}), folder, read=lambda *_, **__: raw)


def check(found: Prepared, images: tuple[Any, Any], labels: tuple[list[int], list[int]]) -> None:
    assert (np.load(found.train_dir / "images.npy") == images[0]).all()
    assert np.load(found.train_dir / "labels.npy").tolist() == labels[0]
    assert (found.validation_images() == images[1]).all()
    assert found.validation_labels.tolist() == labels[1]


def test_cifar10_is_read_batch_after_batch(tmp_path: Path) -> None:
    labels = {f"data_batch_{number}": [number, 9 - number] for number in range(1, 6)} | {"test_batch": [0, 7, 7]}
    train, test, images = cifar(CIFAR10, tmp_path, key="labels", labels=labels)
    found = prepared("cifar10", train, test, tmp_path)
    batches = [f"data_batch_{number}" for number in range(1, 6)]
    shown = np.concatenate([images[name] for name in batches])
    check(found, (shown, images["test_batch"]), ([label for name in batches for label in labels[name]], [0, 7, 7]))
    assert (found.classes, found.chance, found.majority) == (10, 0.1, 2 / 3)


def test_cifar100_is_read_with_its_hundred_fine_labels(tmp_path: Path) -> None:
    labels = {"train": [99, 0, 50, 42], "test": [99, 98]}
    train, test, images = cifar(CIFAR100, tmp_path, key="fine_labels", labels=labels)
    found = prepared("cifar100", train, test, tmp_path)
    check(found, (images["train"], images["test"]), (labels["train"], labels["test"]))
    assert (found.classes, found.chance, found.majority) == (100, 0.01, 0.5)


def test_svhn_is_read_with_ten_as_the_digit_zero(tmp_path: Path) -> None:
    labels = {"train": [0, 1, 9, 5], "test": [1, 1, 0, 2, 1]}
    train, test, images = svhn(tmp_path, labels=labels)
    found = prepared("svhn", train, test, tmp_path)
    check(found, (images["train"], images["test"]), (labels["train"], labels["test"]))
    assert (found.classes, found.chance, found.majority) == (10, 0.1, 0.6)


@pytest.mark.parametrize(
    ("dataset", "files"),
    [
        ("cifar10", "cifar-10-python.tar.gz"),
        ("cifar100", "cifar-100-python.tar.gz"),
        ("svhn", "train_32x32.mat and test_32x32.mat"),
    ],
)
def test_without_the_internet_it_is_said_what_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str, files: str
) -> None:
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")  # where nothing listens
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(InfrastructureError) as caught:
        read_raw(dataset, cache=tmp_path)
    said = str(caught.value)
    assert f"without one put {files} (of http" in said
    assert said.endswith(f" into {tmp_path / 'datasets' / dataset}")
    assert "refused" in said
