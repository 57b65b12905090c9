"""The images of a protocol, laid out so that a container can be given the training split and nothing else."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from orchestrator.config import Config
from orchestrator.errors import ConfigError, unwritable
from orchestrator.evaluation.originals import Raw, Split, read_raw, resized
from orchestrator.making import making
from orchestrator.progress import Guessing
from orchestrator.records import Digest, Record, canonical, derived_seed, digest, file_digest
from orchestrator.run.regrade import Labels
from orchestrator.sections import Protocol
from sandbox_image import wire

LAYOUT = 1  # raised when the same protocol would be laid out as other bytes
HOLDOUT = 0.1  # share of the training split that `protocol.split: holdout` validates on
CHUNK = 1000  # images that are resized at a time

TRAIN_IMAGES = "train/images.npy"
TRAIN_LABELS = "train/labels.npy"
TRAIN_META = "train/meta.json"
VALIDATION_IMAGES = "validation/images.npy"
VALIDATION_LABELS = "labels/validation.npy"
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TRAIN_META, VALIDATION_IMAGES, VALIDATION_LABELS)
RECORD = "record.json"


class DatasetRecord(Record):
    """What the host knows of one prepared folder: what it was made from, and the SHA-256 of every file."""

    layout: int
    data: dict[str, Any]
    files: dict[str, Digest]

    def hash(self) -> str:
        """Return the SHA-256 over the contents of all files."""
        return digest(canonical(self.files))


@dataclass(frozen=True)
class Prepared:
    """One dataset as a protocol sees it; only `train_dir` is ever mounted into a container."""

    train_dir: Path
    validation_path: Path
    validation_labels: npt.NDArray[np.uint8]
    classes: int
    chance: float
    majority: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train_count: int
    hash: str

    @property
    def guessing(self) -> Guessing:
        """What accuracies on it are to be compared with."""
        return Guessing(self.chance, self.majority)

    def validation_images(self) -> npt.NDArray[np.uint8]:
        """Return the N x 3 x R x R uint8 validation images, mapped read-only from disk."""
        images: npt.NDArray[np.uint8] = np.load(self.validation_path, mmap_mode="r", allow_pickle=False)
        return images


def prepare(protocol: Protocol, cache: Path, *, read: Callable[..., Raw] = read_raw) -> Prepared:
    """Lay the protocol's images out under `cache`, or take what is there after comparing its SHA-256 sums.

    `read` returns the originals of a data set; only what is not laid out yet is read.

    All images become N x 3 x R x R uint8: native forms are 3 x 32 x 32 (grey repeated over the channels,
    Fashion-MNIST's 28 pixels framed by 2 black ones), resized with an antialiased bilinear filter if R is not 32.

    Raises:
        ConfigError: more samples are asked for than the split holds.
        InfrastructureError: the original files are missing or damaged; the message says what to put where.
    """
    folder = cache / "data" / folder_name(protocol)
    record = _verified(folder)
    if record is None:
        with making(folder):  # others may have mounted what was made meanwhile: nothing of it is removed
            record = _verified(folder) or _lay_out(protocol, read(protocol.dataset, cache=cache), folder=folder)
    return _load(folder, record)


def labels(config: Config, *, cache: Path) -> Labels:
    """Return what verdicts under the configuration's protocol are graded by once more; see `prepare`."""
    prepared = prepare(config.protocol, cache)
    return Labels(labels=prepared.validation_labels, classes=prepared.classes, dataset=prepared.hash)


def folder_name(protocol: Protocol) -> str:
    """Return the name of the folder of the protocol's data: equal if protocols differ in nothing that shapes it."""
    return f"{protocol.dataset}-{digest(canonical(_data_part(protocol)))[:16]}"


def stratified(labels: npt.NDArray[np.uint8], count: int, *, seed: int, purpose: str) -> npt.NDArray[np.int64]:
    """Return `count` ascending indices into `labels` whose classes keep their shares, chosen by `seed` and `purpose`.

    Shares are rounded by largest remainder; the same arguments give the same indices everywhere.
    """
    random = np.random.Generator(np.random.PCG64(derived_seed("dataset", purpose, seed)))
    counts = np.bincount(labels)
    exact = counts * (count / len(labels))
    quotas = np.floor(exact).astype(np.int64)
    by_remainder = np.argsort(quotas - exact, kind="stable")
    quotas[by_remainder[: count - int(quotas.sum())]] += 1
    chosen = [random.permutation(np.flatnonzero(labels == label))[:quota] for label, quota in enumerate(quotas)]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def chosen_splits(raw: Raw, protocol: Protocol) -> tuple[Split, Split]:
    """Return the training and validation splits of `protocol`; raise ConfigError if it asks for too many samples."""
    train, validation = raw.train, raw.test
    if protocol.split == "holdout":
        size = max(1, round(len(train.labels) * HOLDOUT))
        held = stratified(train.labels, size, seed=protocol.seed, purpose="holdout")
        kept = np.setdiff1d(np.arange(len(train.labels)), held)
        train, validation = train.take(kept), train.take(held)
    return (
        _subset(train, protocol.train_samples, protocol=protocol, key="train_samples"),
        _subset(validation, protocol.validation_samples, protocol=protocol, key="validation_samples"),
    )


def _subset(split: Split, count: int | None, *, protocol: Protocol, key: str) -> Split:
    if count is None or count == len(split.labels):
        return split
    if count > len(split.labels):
        raise ConfigError(
            f"protocol.{key} is {count}, but the {protocol.split} split of {protocol.dataset} holds {len(split.labels)}"
        )
    return split.take(stratified(split.labels, count, seed=protocol.seed, purpose=key))


def _data_part(protocol: Protocol) -> dict[str, Any]:
    """Return what of the protocol changes the bytes on disk; the seed only if something is drawn."""
    drawn = protocol.split == "holdout" or protocol.train_samples is not None or protocol.validation_samples is not None
    return {
        "layout": LAYOUT,
        "dataset": protocol.dataset,
        "split": protocol.split,
        "resolution": protocol.resolution,
        "train_samples": protocol.train_samples,
        "validation_samples": protocol.validation_samples,
        "seed": protocol.seed if drawn else None,
    }


def _lay_out(protocol: Protocol, raw: Raw, *, folder: Path) -> DatasetRecord:
    """Write the folder under a temporary name and rename it, so that it is either whole or not there."""
    train, validation = chosen_splits(raw, protocol)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f".{folder.name}-*"):  # by a process that was killed: this one has the lock
            _remove(left)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            _write(work, train=train, validation=validation, classes=raw.classes, resolution=protocol.resolution)
            record = DatasetRecord(
                layout=LAYOUT, data=_data_part(protocol), files={name: file_digest(work / name) for name in FILES}
            )
            (work / RECORD).write_bytes(canonical(record.model_dump(mode="json")))
            _protect(work)
            _remove(folder)
            work.rename(folder)
        finally:
            _remove(work)
    except OSError as error:
        raise unwritable(folder, error) from error
    return record


def _write(work: Path, *, train: Split, validation: Split, classes: int, resolution: int) -> None:
    for name in ("train", "validation", "labels"):
        (work / name).mkdir()
    mean, std = _write_images(work / TRAIN_IMAGES, train.images, resolution=resolution)
    _write_images(work / VALIDATION_IMAGES, validation.images, resolution=resolution)
    np.save(work / TRAIN_LABELS, train.labels, allow_pickle=False)
    np.save(work / VALIDATION_LABELS, validation.labels, allow_pickle=False)
    meta = {
        "classes": classes,
        "shape": [3, resolution, resolution],
        "count": len(train.labels),
        "mean": mean,
        "std": std,
    }
    (work / TRAIN_META).write_text(json.dumps(meta, indent=1) + "\n", encoding="ascii")


def _write_images(path: Path, images: npt.NDArray[np.uint8], *, resolution: int) -> tuple[list[float], list[float]]:
    """Write N x 3 x R x R uint8 to `path`; return mean and standard deviation per channel, of pixels in 0..1."""
    shape = (len(images), 3, resolution, resolution)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    histogram = np.zeros((3, 256), dtype=np.int64)
    for start in range(0, len(images), CHUNK):
        block = resized(images[start : start + CHUNK], resolution)
        out[start : start + CHUNK] = block
        for channel in range(3):
            histogram[channel] += np.bincount(block[:, channel].ravel(), minlength=256)
    out.flush()
    values = np.arange(256) / 255.0
    total = histogram.sum(axis=1)
    mean = histogram @ values / total
    std = np.sqrt(np.maximum(histogram @ values**2 / total - mean**2, 0.0))
    return [round(float(one), 6) for one in mean], [max(round(float(one), 6), 1e-6) for one in std]


def _protect(work: Path) -> None:
    """Let any user id read what containers are shown, and only the owner the labels."""
    for name in FILES:
        (work / name).chmod(0o400 if name.startswith("labels/") else 0o444)
    for name, mode in (("train", 0o555), ("validation", 0o555), ("labels", 0o700), (".", 0o755)):
        (work / name).chmod(mode)


def _remove(folder: Path) -> None:
    if folder.is_dir():
        for inner in (folder, folder / "train", folder / "validation"):
            if inner.is_dir():
                inner.chmod(0o755)
        shutil.rmtree(folder)


def _verified(folder: Path) -> DatasetRecord | None:
    """Return the record of a folder whose every file has the recorded SHA-256, else None."""
    try:
        record = DatasetRecord.model_validate_json((folder / RECORD).read_bytes())
        whole = set(record.files) == set(FILES) and all(
            file_digest(folder / name) == known for name, known in record.files.items()
        )
    except (OSError, ValidationError):
        return None
    return record if whole and record.layout == LAYOUT else None


def _load(folder: Path, record: DatasetRecord) -> Prepared:
    meta = json.loads((folder / TRAIN_META).read_text(encoding="ascii"))
    labels: npt.NDArray[np.uint8] = np.load(folder / VALIDATION_LABELS, allow_pickle=False)
    labels.setflags(write=False)
    return Prepared(
        train_dir=(folder / "train").resolve(),
        validation_path=folder / VALIDATION_IMAGES,
        validation_labels=labels,
        classes=int(meta["classes"]),
        chance=1.0 / int(meta["classes"]),
        majority=float(np.bincount(labels).max() / len(labels)),
        mean=tuple(float(one) for one in meta["mean"]),
        std=tuple(float(one) for one in meta["std"]),
        train_count=int(meta["count"]),
        hash=record.hash(),
    )


COPIES = 4  # of the validation images that a container holds while they arrive, in two processes


def images_size(prepared: Prepared, protocol: Protocol) -> int:
    """Return how many bytes the validation images are on the wire."""
    return len(prepared.validation_labels) * 3 * protocol.resolution**2


def excesses(prepared: Prepared, config: Config) -> Iterator[str]:
    """Yield why the validation images are too large: for the wire, or for a container's memory."""
    count, resolution = len(prepared.validation_labels), config.protocol.resolution
    size = images_size(prepared, config.protocol)
    if size > wire.IMAGES_LIMIT:
        yield (
            f"protocol: {count} validation images of {resolution} pixels are {size} bytes, more than the"
            f" {wire.IMAGES_LIMIT} that the wire takes; lower protocol.validation_samples or protocol.resolution"
        )
    if COPIES * size > config.sandbox.limits.memory:
        yield (
            f"protocol: {count} validation images of {resolution} pixels are {size >> 20} MiB, and a container holds"
            f" {COPIES} copies while they arrive, more than sandbox.limits.memory: raise that, or lower"
            " protocol.validation_samples or protocol.resolution"
        )
