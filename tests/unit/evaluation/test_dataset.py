"""Preparing images: deterministic, whole or not there, and the validation labels apart from what is mounted."""

from __future__ import annotations

import gzip
import json
import shutil
import stat
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.evaluation import prepare
from orchestrator.evaluation.dataset import folder_name, stratified
from orchestrator.evaluation.originals import framed, read_idx, resized
from orchestrator.evaluation.torchvision_arrays import channels_first
from orchestrator.sections import Protocol

TRAIN, TEST = 200, 60


def write_idx(path: Path, array: npt.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">{1 + array.ndim}I", 0x0800 | array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with a small Fashion-MNIST in the official format: 200 training and 60 test images."""
    random = np.random.default_rng(7)
    folder = tmp_path / "cache" / "datasets" / "fashion-mnist"
    for prefix, count in (("train", TRAIN), ("t10k", TEST)):
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", random.integers(0, 256, (count, 28, 28)).astype(np.uint8))
        labels = np.resize(np.arange(10), count).astype(np.uint8)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", random.permutation(labels))
    return tmp_path / "cache"


def fashion(**settings: Any) -> Protocol:
    return Protocol(dataset="fashion-mnist", **settings)


def test_images_become_three_equal_channels_of_32_pixels(cache: Path) -> None:
    prepared = prepare(fashion(), cache)
    images = np.load(prepared.train_dir / "images.npy")
    assert (images.shape, images.dtype) == ((TRAIN, 3, 32, 32), np.uint8)
    assert prepared.validation_images().shape == (TEST, 3, 32, 32)
    assert (images[:, 0] == images[:, 1]).all()
    assert (images[:, 0] == images[:, 2]).all()


def test_the_training_folder_holds_no_validation_label(cache: Path) -> None:
    prepared = prepare(fashion(), cache)
    assert sorted(path.name for path in prepared.train_dir.iterdir()) == ["images.npy", "labels.npy", "meta.json"]
    assert len(np.load(prepared.train_dir / "labels.npy")) == TRAIN
    assert prepared.train_dir not in (prepared.validation_path.parent, prepared.train_dir.parent / "labels")


def test_containers_may_read_the_training_split_and_only_the_owner_the_labels(cache: Path) -> None:
    prepared = prepare(fashion(), cache)
    assert stat.S_IMODE(prepared.train_dir.stat().st_mode) == 0o555
    assert {stat.S_IMODE(path.stat().st_mode) for path in prepared.train_dir.iterdir()} == {0o444}
    labels = prepared.train_dir.parent / "labels"
    assert stat.S_IMODE(labels.stat().st_mode) == 0o700


def test_mean_and_deviation_are_those_of_the_training_split(cache: Path) -> None:
    prepared = prepare(fashion(), cache)
    pixels = np.load(prepared.train_dir / "images.npy") / 255.0
    assert prepared.mean == pytest.approx(pixels.mean(axis=(0, 2, 3)), abs=1e-6)
    assert prepared.std == pytest.approx(pixels.std(axis=(0, 2, 3)), abs=1e-6)
    assert json.loads((prepared.train_dir / "meta.json").read_text())["mean"] == list(prepared.mean)


def test_chance_and_the_majority_class_are_those_of_the_validation_labels(cache: Path) -> None:
    labels = np.array([3] * 24 + [4] * 20 + list(range(10)) + [9] * 6, dtype=np.uint8)
    write_idx(cache / "datasets" / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz", labels)
    prepared = prepare(fashion(), cache)
    assert (prepared.classes, prepared.chance, prepared.majority) == (10, 0.1, 25 / TEST)
    held = prepare(fashion(split="holdout"), cache)
    assert held.majority == np.bincount(held.validation_labels).max() / len(held.validation_labels) != 25 / TEST


def test_both_splits_are_laid_out_as_they_are_and_only_the_training_split_says_how_they_are_normalised(
    cache: Path,
) -> None:
    prepared = prepare(fashion(), cache)
    assert [path.name for path in prepared.validation_path.parent.iterdir()] == ["images.npy"]
    drawn = prepare(fashion(train_samples=40), cache)
    assert (prepared.validation_images() == drawn.validation_images()).all()
    assert drawn.mean != prepared.mean


def test_a_subset_keeps_the_shares_of_the_classes_and_repeats(cache: Path, tmp_path: Path) -> None:
    protocol = fashion(train_samples=40, validation_samples=20, seed=3)
    first = prepare(protocol, cache)
    shutil.copytree(cache / "datasets", tmp_path / "other" / "datasets")
    second = prepare(protocol, tmp_path / "other")
    assert np.bincount(np.load(first.train_dir / "labels.npy")).tolist() == [4] * 10
    assert np.bincount(first.validation_labels).tolist() == [2] * 10
    assert first.hash == second.hash
    assert prepare(protocol.model_copy(update={"seed": 4}), cache).hash != first.hash


def test_holding_out_leaves_the_test_split_untouched_and_shares_no_image(cache: Path) -> None:
    held = prepare(fashion(split="holdout"), cache)
    official = prepare(fashion(), cache)
    kept = {image.tobytes() for image in np.load(held.train_dir / "images.npy")}
    validation = {image.tobytes() for image in held.validation_images()}
    assert (len(kept), len(validation)) == (180, 20)
    assert not kept & validation
    assert not validation & {image.tobytes() for image in official.validation_images()}


@pytest.mark.parametrize("count", [1, 7, 33, 59, 60])
def test_stratified_gives_exactly_the_count_without_repeats(count: int) -> None:
    labels = np.array([0] * 50 + [1] * 9 + [2], dtype=np.uint8)
    chosen = stratified(labels, count, seed=0, purpose="test")
    assert len(set(chosen.tolist())) == len(chosen) == count
    exact = np.bincount(labels) * count / len(labels)
    assert (np.abs(np.bincount(labels[chosen], minlength=3) - exact) < 1).all()


def test_the_seed_changes_nothing_where_nothing_is_drawn() -> None:
    assert folder_name(fashion(seed=1)) == folder_name(fashion(seed=2))
    assert folder_name(fashion(train_samples=5, seed=1)) != folder_name(fashion(train_samples=5, seed=2))
    assert folder_name(fashion(lr=0.5)) == folder_name(fashion())


def test_what_is_there_and_unchanged_is_taken_as_it_is(cache: Path) -> None:
    first = prepare(fashion(), cache)
    shutil.rmtree(cache / "datasets")
    assert prepare(fashion(), cache).hash == first.hash


def test_damaged_data_is_noticed_and_made_again(cache: Path) -> None:
    first = prepare(fashion(), cache)
    images = first.train_dir / "images.npy"
    whole = images.read_bytes()
    images.chmod(0o644)
    images.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    again = prepare(fashion(), cache)
    assert images.read_bytes() == whole
    assert again.hash == first.hash


def test_nothing_temporary_is_left_behind(cache: Path) -> None:
    prepare(fashion(), cache)
    assert [path.name for path in (cache / "data").iterdir()] == [folder_name(fashion())]


def test_asking_for_more_than_there_is_names_the_key(cache: Path) -> None:
    with pytest.raises(ConfigError, match=r"protocol\.train_samples is 201, .* holds 200"):
        prepare(fashion(train_samples=TRAIN + 1), cache)


@pytest.mark.parametrize(
    "damage",
    [b"", b"not gzip", gzip.compress(b"short"), gzip.compress(b"\0" * 64)],
    ids=["empty", "other", "short", "zeros"],
)
def test_a_damaged_original_is_named(cache: Path, damage: bytes) -> None:
    path = cache / "datasets" / "fashion-mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage)
    with pytest.raises(InfrastructureError, match="train-images-idx3-ubyte"):
        prepare(fashion(), cache)
    assert not (cache / "data").exists() or not list((cache / "data").iterdir())


def test_labels_that_do_not_belong_to_the_images_are_refused(cache: Path) -> None:
    write_idx(cache / "datasets" / "fashion-mnist" / "train-labels-idx1-ubyte.gz", np.zeros(3, dtype=np.uint8))
    with pytest.raises(InfrastructureError, match="do not belong together"):
        prepare(fashion(), cache)


def test_an_idx_header_that_promises_more_than_there_is_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lying.gz"
    path.write_bytes(gzip.compress(struct.pack(">II", 0x0801, 1 << 31) + b"\0" * 8))
    with pytest.raises(InfrastructureError, match="where its header says"):
        read_idx(path, magic=0x0801)


def test_framing_centres_on_black() -> None:
    image = framed(np.full((1, 28, 28), 9, dtype=np.uint8))
    assert image.shape == (1, 3, 32, 32)
    assert image[0, 0, 2:30, 2:30].min() == 9
    assert image.sum() == 9 * 28 * 28 * 3


@pytest.mark.parametrize("side", [8, 31, 32, 33, 64])
def test_resizing_keeps_a_flat_image_flat(side: int) -> None:
    flat = np.full((2, 3, 32, 32), 77, dtype=np.uint8)
    assert (resized(flat, side) == np.full((2, 3, side, side), 77)).all()


def test_resizing_by_half_and_back_keeps_a_ramp_within_one_step() -> None:
    ramp = np.broadcast_to(np.arange(32, dtype=np.uint8) * 4, (1, 3, 32, 32))
    back = resized(resized(ramp, 64), 32).astype(int)
    assert np.abs(back - ramp)[..., 2:-2].max() <= 1


def test_torchvisions_channel_orders_become_one() -> None:
    last = np.arange(2 * 32 * 32 * 3, dtype=np.uint8).reshape(2, 32, 32, 3)
    first = last.transpose(0, 3, 1, 2)
    assert (channels_first(last) == first).all()
    assert (channels_first(first) == first).all()
