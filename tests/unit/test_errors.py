"""A place that cannot be written to is named, with what to do only if doing it helps."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from orchestrator.errors import FinalError, unwritable


@pytest.mark.parametrize(
    ("number", "final", "advice"),
    [(errno.ENOSPC, False, True), (errno.EDQUOT, False, True), (errno.EACCES, True, False), (errno.EIO, False, False)],
)
def test_only_a_full_disk_asks_for_space_and_only_a_lasting_cause_is_final(
    number: int, *, final: bool, advice: bool
) -> None:
    error = unwritable(Path("place"), OSError(number, os.strerror(number)))
    assert str(error).startswith(f"place: cannot be written: {os.strerror(number)}")
    assert isinstance(error, FinalError) == final
    assert ("free space" in str(error)) == advice
