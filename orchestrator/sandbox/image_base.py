"""The image below the sandbox image: one that is here, one that can be pulled, or one made of Debian packages."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import InfrastructureError
from orchestrator.sandbox.engine import engine_errors

if TYPE_CHECKING:
    import docker

Log = Callable[[str], None]

SUITE = "bookworm"  # its python3 is 3.11
BOOTSTRAPPED = f"nn-sandbox-base:{SUITE}"
PULLED = f"python:3.11-slim-{SUITE}"
PACKAGES = ("python3", "libstdc++6")
UNWANTED = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*")


def resolve_base(client: docker.DockerClient, requested: str | None, *, cache: Path, log: Log) -> tuple[str, str]:
    """Return tag and id of the base: `requested`, else one that is here, else a pulled one, else a bootstrapped one.

    Raises:
        InfrastructureError: `requested` is neither here nor to be pulled, or nothing can be bootstrapped.
    """
    for tag in (requested,) if requested is not None else (BOOTSTRAPPED, PULLED):
        found = _id(client, tag)
        if found is not None:
            log(f"base: {tag} (local)")
            return tag, found
    wanted = requested if requested is not None else PULLED
    refusal = _pull(client, wanted, log=log)
    if refusal is None:
        found = _id(client, wanted)
        if found is not None:
            return wanted, found
    if requested is not None:
        raise InfrastructureError(f"the base {requested} is not here and cannot be pulled: {refusal}")
    log(f"{PULLED} cannot be pulled ({refusal}); a base is made of Debian packages")
    _bootstrap(client, cache=cache, log=log)
    found = _id(client, BOOTSTRAPPED)
    if found is None:
        raise InfrastructureError(f"{BOOTSTRAPPED} was imported, but the engine does not know it")
    return BOOTSTRAPPED, found


def bootstrap_command(target: Path) -> list[str]:
    """Return the command that writes a minimal Debian with Python as a tar archive to `target`."""
    excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in UNWANTED]
    return ["mmdebstrap", "--variant=essential", f"--include={','.join(PACKAGES)}", *excluded, SUITE, str(target)]


def _bootstrap(client: docker.DockerClient, *, cache: Path, log: Log) -> None:
    if shutil.which("mmdebstrap") is None:
        raise InfrastructureError(
            "no base image: none can be pulled, and mmdebstrap is not installed to make one. Install it "
            "(Debian and Ubuntu: apt-get install mmdebstrap), or name a local image that holds Python 3.11 as the base"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="base-", dir=cache) as work:
        archive = Path(work) / "base.tar"
        command = bootstrap_command(archive)
        log(" ".join(command))
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            lines = []
            for line in process.stderr or ():
                lines.append(line.strip())
                log(line.strip())
        if process.returncode != 0:
            raise InfrastructureError("mmdebstrap failed: " + "\n".join(lines[-5:]))
        repository, tag = BOOTSTRAPPED.split(":")
        with engine_errors(f"importing {BOOTSTRAPPED}"):
            client.api.import_image_from_file(str(archive), repository=repository, tag=tag)


def _pull(client: docker.DockerClient, tag: str, *, log: Log) -> str | None:
    """Pull `tag`; return None, or why it could not be had."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    log(f"pulling {tag}")
    repository, _, version = tag.partition(":")
    try:
        client.images.pull(repository, tag=version or "latest")
    except (DockerException, RequestException) as error:
        return str(error)
    return None


def _id(client: docker.DockerClient, tag: str) -> str | None:
    from docker.errors import ImageNotFound

    with engine_errors(f"looking for the image {tag}"):
        try:
            return str(client.images.get(tag).id)
        except ImageNotFound:
            return None
