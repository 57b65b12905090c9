"""The secrets of the host, which never enter a container: with a candidate's id they order the validation images."""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

from orchestrator.config import Config
from orchestrator.errors import InfrastructureError
from orchestrator.making import making
from orchestrator.run.disk import read_bytes, write

KEY_BYTES = 32
MACHINE = "host.key"


def machine_key(cache: Path, purpose: str) -> bytes:
    """Return the key of this machine for one purpose, such as the hash of a protocol: the same at every call.

    It is derived from the secret in `cache`, which is made on first use and readable by its owner alone.

    Raises:
        InfrastructureError: that secret cannot be read or written, or was damaged.
    """
    path = cache / MACHINE
    if path.exists():  # as it is in a cache that is only lent to read
        return hmac.digest(_secret(path, b""), purpose.encode(), "sha256")
    with making(path):
        secret = _secret(path, secrets.token_bytes(KEY_BYTES))
    return hmac.digest(secret, purpose.encode(), "sha256")


def host_key(folder: Path, *, config: Config, cache: Path) -> bytes:
    """Return the run's own secret, made on first use and readable by its owner alone.

    With a candidate's id it gives the order in which the validation images are shown, so it never enters a container.
    It is derived from a secret of this machine and the configuration (its number of cycles aside), so that a repeated
    run repeats the order.

    Raises:
        InfrastructureError: it cannot be read or written, or was damaged.
    """
    path = folder / "key"
    if path.exists():
        return _secret(path, b"")
    return _secret(path, machine_key(cache, config.model_copy(update={"cycles": 1}).hash()))


def _secret(path: Path, fresh: bytes) -> bytes:
    """Return the secret in `path`; if there is none yet, `fresh` becomes it."""
    if not path.exists():
        write(path, fresh, partial=path.with_name(f"{path.name}.part"), private=True)
    key = read_bytes(path)
    if len(key) != KEY_BYTES:
        raise InfrastructureError(f"{path}: holds {len(key)} bytes instead of {KEY_BYTES}; remove it and resume")
    return key
