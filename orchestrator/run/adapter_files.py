"""The files of one adapter folder, made durable and known by their digests."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.errors import InfrastructureError
from orchestrator.records import Digest, file_digest
from orchestrator.run.disk import sync_folder


def digests(folder: Path, *, durable: bool = False) -> dict[str, Digest]:
    """Return the SHA-256 of every file under `folder` by its relative name; after `durable`, a power cut spares them.

    Raises:
        InfrastructureError: a file cannot be read, or the disk refuses to make it durable.
    """
    found = {}
    try:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = file_digest(path)
                if durable:
                    with path.open("rb") as file:
                        os.fsync(file.fileno())
            elif durable:
                sync_folder(path)
        if durable:
            sync_folder(folder)
            sync_folder(folder.parent)
    except OSError as error:
        raise InfrastructureError(f"{folder}: cannot be read or made durable: {error}") from error
    return found
