"""Content-addressed files of one run: sources, shingles, predictions and captured output, each named by its digest."""

from __future__ import annotations

import secrets
from pathlib import Path

from orchestrator.errors import LedgerError
from orchestrator.records import Digest, digest
from orchestrator.run.disk import PARTIAL, write


class Store:
    """Blobs under `folder`, as `<first two hex digits>/<SHA-256>`; a blob never changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes) -> Digest:
        """Keep `content` and return its name; it is whole and on the disk when this returns.

        Raises:
            InfrastructureError: the disk refused it.
        """
        name = digest(content)
        path = self.path(name)
        if path.exists():
            return name
        write(path, content, partial=path.with_name(f"{PARTIAL}{secrets.token_hex(4)}"), private=True)
        return name

    def get(self, name: Digest) -> bytes:
        """Return the content of `name`.

        Raises:
            LedgerError: it is missing, or is no longer what its name says.
        """
        path = self.path(name)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise LedgerError(f"{path}: a ledger names this file and it cannot be read: {error}") from error
        if digest(content) != name:
            raise LedgerError(f"{path}: its content no longer has the digest that is its name")
        return content

    def path(self, name: Digest) -> Path:
        """Return where `name` lies, whether or not it is there."""
        return self._folder / name[:2] / name
