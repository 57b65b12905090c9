"""Original image files as arrays: MNIST's idx files read here, the others through torchvision in its own process."""

from __future__ import annotations

import gzip
import math
import subprocess
import sys
import tempfile
import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from orchestrator.errors import InfrastructureError
from orchestrator.making import making

NATIVE = 32  # pixels: the side of every native form
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package dataset-fashion-mnist puts it
IDX_IMAGES = 0x0803  # unsigned bytes, three dimensions
IDX_LABELS = 0x0801  # unsigned bytes, one dimension
FASHION_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
TORCHVISION_FILES = {
    "cifar10": "cifar-10-python.tar.gz (of https://www.cs.toronto.edu/~kriz/cifar.html)",
    "cifar100": "cifar-100-python.tar.gz (of https://www.cs.toronto.edu/~kriz/cifar.html)",
    "svhn": "train_32x32.mat and test_32x32.mat (of http://ufldl.stanford.edu/housenumbers/)",
}
CLASSES = {"fashion-mnist": 10, "cifar10": 10, "cifar100": 100, "svhn": 10}


@dataclass(frozen=True)
class Split:
    """Images (N x 3 x 32 x 32, uint8) and their labels (N, uint8)."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]

    def take(self, indices: npt.NDArray[np.int64]) -> Split:
        """Return the images and labels at `indices`."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class Raw:
    """A data set as published: its two official splits."""

    train: Split
    test: Split
    classes: int


def read_raw(dataset: str, *, cache: Path) -> Raw:
    """Read a data set's official splits, from files that a person put under `cache` or where they are installed.

    Raises:
        InfrastructureError: files are missing or damaged; the message names them and where they go.
    """
    folder = cache / "datasets" / dataset
    if dataset == "fashion-mnist":
        source = next((place for place in (folder, DEBIAN_FASHION_MNIST) if _has_fashion(place)), None)
        if source is None:
            names = ", ".join(name for pair in FASHION_FILES.values() for name in pair)
            raise InfrastructureError(
                "Fashion-MNIST is not here: install Debian's package dataset-fashion-mnist, "
                f"or put {names} into {folder}"
            )
        train, test = (_read_fashion(source, part) for part in ("train", "test"))
    else:
        with making(folder):  # what two processes download at once is torn
            train, test = _read_torchvision(dataset, folder=folder)
    classes = CLASSES[dataset]
    for split in (train, test):
        if len(split.images) != len(split.labels) or not len(split.labels) or int(split.labels.max()) >= classes:
            raise InfrastructureError(f"{dataset}: images and labels do not belong together; fetch the files again")
    return Raw(train=train, test=test, classes=classes)


def read_idx(path: Path, *, magic: int) -> npt.NDArray[np.uint8]:
    """Read one gzipped idx file of unsigned bytes (format: Y. LeCun's MNIST page).

    Raises:
        InfrastructureError: the file is damaged or another kind of idx file than `magic`.
    """
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise InfrastructureError(f"{path}: cannot be read: {error}") from error
    dimensions = magic & 0xFF
    header = 4 * (1 + dimensions)
    numbers = np.frombuffer(data[:header].ljust(header, b"\0"), dtype=">u4")
    if len(data) < header or numbers[0] != magic:
        raise InfrastructureError(f"{path}: not an idx file of kind {magic:#06x}")
    shape = tuple(int(size) for size in numbers[1:])
    if len(data) - header != math.prod(shape):
        raise InfrastructureError(f"{path}: holds {len(data) - header} bytes where its header says {math.prod(shape)}")
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(shape)


def framed(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Turn N x H x W grey images of at most 32 pixels into N x 3 x 32 x 32: centred on black, equal in each channel."""
    height, width = grey.shape[1:]
    top, left = (NATIVE - height) // 2, (NATIVE - width) // 2
    frame = ((0, 0), (top, NATIVE - height - top), (left, NATIVE - width - left))
    return np.repeat(np.pad(grey, frame)[:, None], 3, axis=1)


def resized(images: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """Resize N x C x H x W images to `side` pixels, bilinear, with the filter widened when shrinking (antialiased)."""
    height, width = images.shape[2:]
    if height == side and width == side:
        return images
    rows, columns = _filter(height, side), _filter(width, side)
    exact: npt.NDArray[np.float32] = np.einsum(
        "sh,nchw,tw->ncst", rows, images.astype(np.float32), columns, optimize=True
    )
    return np.clip(np.rint(exact), 0, 255).astype(np.uint8)


def _filter(old: int, new: int) -> npt.NDArray[np.float32]:
    """Return the `new` x `old` matrix of triangle-filter weights at half-step pixel centres; each row sums to one."""
    scale = old / new
    support = max(scale, 1.0)
    centres = (np.arange(new) + 0.5) * scale - 0.5
    distance = np.abs(centres[:, None] - np.arange(old)[None, :]) / support
    weights = np.maximum(0.0, 1.0 - distance)
    normalised: npt.NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised


def _has_fashion(folder: Path) -> bool:
    return all((folder / name).is_file() for pair in FASHION_FILES.values() for name in pair)


def _read_fashion(folder: Path, part: str) -> Split:
    images, labels = FASHION_FILES[part]
    grey = read_idx(folder / images, magic=IDX_IMAGES)
    if max(grey.shape[1:]) > NATIVE:
        raise InfrastructureError(f"{folder / images}: images of {grey.shape[1:]} pixels are larger than {NATIVE}")
    return Split(framed(grey), read_idx(folder / labels, magic=IDX_LABELS))


def _read_torchvision(dataset: str, *, folder: Path) -> tuple[Split, Split]:
    """Let another process import torchvision, fetch if it can, and hand the arrays back in a file."""
    if find_spec("torchvision") is None:
        raise InfrastructureError(f"{dataset}: is read through torchvision, which is missing: pip install torchvision")
    with tempfile.TemporaryDirectory(prefix="images-") as work:
        target = Path(work) / "arrays.npz"
        module = "orchestrator.evaluation.torchvision_arrays"
        command = [sys.executable, "-P", "-m", module, dataset, str(folder), str(target)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise InfrastructureError(
                f"{dataset} could not be read through torchvision ({reason}); "
                f"with an internet connection it is fetched, without one put {TORCHVISION_FILES[dataset]} into {folder}"
            )
        return read_arrays(target)


def read_arrays(path: Path) -> tuple[Split, Split]:
    """Return the training and test splits in the file that `torchvision_arrays` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return (
            Split(arrays["train_images"], arrays["train_labels"]),
            Split(arrays["test_images"], arrays["test_labels"]),
        )
