"""Files that outlive a kill and a power cut: read by whole lines, appended to, or replaced whole."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InfrastructureError, unwritable

PARTIAL = ".part-"  # begins the names of what a kill leaves of files that were being written under many names


@dataclass(frozen=True)
class Lines:
    """The content of a file of lines: `whole` ones without their newline, and what a kill left of one more."""

    whole: tuple[bytes, ...]
    torn: bytes = b""

    @classmethod
    def of(cls, content: bytes) -> Lines:
        """Cut `content` behind every newline; other line ends are part of a line."""
        *whole, torn = content.split(b"\n")
        return cls(tuple(whole), torn)

    @property
    def size(self) -> int:
        """Where the torn line begins, in bytes, or where the next line goes."""
        return sum(map(len, self.whole)) + len(self.whole)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file; a missing one is empty.

    Raises:
        InfrastructureError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise InfrastructureError(f"{path}: cannot be read: {error}") from error


def read_lines(path: Path) -> Lines:
    """Return the lines of a file; see `read_bytes`."""
    return Lines.of(read_bytes(path))


def append(path: Path, content: bytes, *, after: int, durable: bool = True) -> None:
    """Write `content` at byte `after`, dropping what stood there; if the disk refuses, none of it stays.

    Raises:
        InfrastructureError: the disk refused it.
    """
    new = not path.exists()
    try:
        with path.open("ab", buffering=0) as file:
            if file.tell() != after:
                file.truncate(after)
            try:
                rest = memoryview(content)
                while rest:
                    rest = rest[file.write(rest) :]
                if durable:
                    os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    file.truncate(after)
                raise
        if new:
            sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error


def append_line(path: Path, line: bytes) -> None:
    """Write one line to a file, which is made with its folder, in the place of a torn one.

    It survives a kill, and need not survive a power cut.

    Raises:
        InfrastructureError: the disk refused it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = path.open("ab")
    except OSError as error:
        raise unwritable(path, error) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)  # or two that append at once would drop a line of each other
        append(path, line + b"\n", after=read_lines(path).size, durable=False)


def write(path: Path, content: bytes, *, partial: Path, private: bool = False) -> None:
    """Write a file, and its folder, so that it appears whole or not at all, by way of `partial` beside it.

    A `private` one is for its owner alone.

    Raises:
        InfrastructureError: the disk refused it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if private else 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
