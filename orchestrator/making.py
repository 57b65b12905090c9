"""Lets one process make a thing in a shared place, while the others that want it wait and find it made."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from orchestrator.errors import unwritable


@contextmanager
def making(place: Path) -> Iterator[None]:
    """Hold the lock on making `place`, whose folder is made if need be; look again whether it is there by now.

    The lock is a file beside it for as long as it is held. The kernel lets go of it however this process ends.

    Raises:
        InfrastructureError: the lock cannot be made: the disk is full, or the folder is not this user's.
    """
    lock = place.with_name(f".{place.name}.lock")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        while not _is_there(file := lock.open("ab"), lock):
            file.close()  # whoever had it before has just removed it
    except OSError as error:
        raise unwritable(place, error) from error
    with file:
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _is_there(file: BinaryIO, lock: Path) -> bool:
    """Wait for the lock on `file`, and say whether it is still the one that others find."""
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        return lock.stat().st_ino == os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False
