"""Reading LEMUR's wheel, here a small one made on the spot."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from orchestrator.corpus import lemur
from orchestrator.errors import InfrastructureError

CIFAR = "ab/nn/stat/train/img-classification_cifar-10_acc_"


def write(path: Path, files: dict[str, object]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, str) else json.dumps(content))
    return path


def test_models_trials_and_first_epoch_accuracies_are_read(tmp_path: Path) -> None:
    wheel = write(
        tmp_path / "a.whl",
        {
            "ab/nn/nn/__init__.py": "",
            "ab/nn/nn/Big_Net-1.py": "x = 1\n",
            "ab/nn/nn/Alone.py": "y = 2\n",
            "ab/nn/nn/deep/Other.py": "z = 3\n",
            CIFAR + "Big_Net-1/1.json": [{"accuracy": 0.3}, {"accuracy": 0.5}, {"accuracy": 0.5}],
            CIFAR + "Big_Net-1/2.json": [{"accuracy": 0.9}],
            CIFAR + "Gone/1.json": [],
            "ab/nn/stat/train/img-classification_mnist_acc_Alone/1.json": [{"accuracy": 0.99}],
        },
    )
    found = lemur.read(wheel)
    assert found.models == (
        lemur.Model(name="Alone", source=b"y = 2\n", accuracy=None),
        lemur.Model(name="Big_Net-1", source=b"x = 1\n", accuracy=0.5),
    )
    assert found.trials == 5
    assert found.best_rows == 4  # of four epochs, one has none and one has two that are equally good


def test_a_models_name_may_hold_underscores_and_hyphens() -> None:
    file = lemur.trial_file("ab/nn/stat/train/img-classification_cifar-10_acc_My_Net-1_x/12.json")
    assert (file.task, file.dataset, file.metric) == ("img-classification", "cifar-10", "acc")
    assert (file.model, file.epoch) == ("My_Net-1_x", 12)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip"])
def test_a_file_that_is_no_wheel_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b.whl"
    path.write_bytes(content)
    with pytest.raises(InfrastructureError, match=r"b\.whl"):
        lemur.read(path)


def test_another_wheel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="holds no models"):
        lemur.read(write(tmp_path / "c.whl", {"other/x.py": "x = 1\n"}))


def test_a_damaged_member_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "d.whl", {"ab/nn/nn/A.py": "x = 1\n" * 50})
    content = bytearray(path.read_bytes())
    content[45:50] = b"\xff" * 5
    path.write_bytes(content)
    with pytest.raises(InfrastructureError, match=r"d\.whl"):
        lemur.read(path)
