"""What a container must be able to read is looked at as a program would, and is the host's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.sandbox import readback
from sandbox_image import needs


def test_files_that_the_host_has_too_are_known_by_size_and_time(tmp_path: Path) -> None:
    (tmp_path / "labels.npy").write_bytes(b"12")
    (tmp_path / "below").mkdir()
    os.utime(tmp_path / "labels.npy", (1.5, 1.5))
    assert needs.stamps(tmp_path) == readback.stamps(tmp_path) == {"labels.npy": [2, 1]}
    assert needs.stamps(tmp_path / "gone") == {}


def test_other_data_under_the_same_path_is_another_machines(tmp_path: Path) -> None:
    (tmp_path / "labels.npy").write_bytes(b"12")
    readback.check_data({"data": needs.stamps(tmp_path)}, tmp_path, missing="elsewhere")
    readback.check_data({}, tmp_path, missing="elsewhere")  # an image of before
    for inside in ({}, {"labels.npy": [2, 1]}):
        with pytest.raises(InfrastructureError, match=f"sees other files in {tmp_path} than are there: elsewhere"):
            readback.check_data({"data": inside}, tmp_path, missing="elsewhere")


def test_a_proof_that_fails_itself_is_trouble(tmp_path: Path) -> None:
    said = needs.trouble(tmp_path, uid=-2)  # no process can have it
    assert said is not None
    assert "its test ended with status" in said
