"""The image below the sandbox image: one that is here, one that can be pulled, or one made of Debian packages."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from orchestrator.errors import InfrastructureError
from orchestrator.progress import Report
from orchestrator.sandbox.engine import Engine

SUITE = "bookworm"  # its python3 is 3.11
BOOTSTRAPPED = f"nn-sandbox-base:{SUITE}"
PULLED = f"python:3.11-slim-{SUITE}"
PACKAGES = ("python3", "libstdc++6")
UNWANTED = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*")


def resolve_base(engine: Engine, requested: str | None, *, cache: Path, log: Report) -> tuple[str, str]:
    """Return tag and id of the base: `requested`, else one that is here, else a pulled one, else a bootstrapped one.

    Raises:
        InfrastructureError: `requested` is neither here nor to be pulled, or nothing can be bootstrapped.
    """
    for tag in (requested,) if requested is not None else (BOOTSTRAPPED, PULLED):
        found = engine.images.find(tag)
        if found is not None:
            log(f"base: {tag} (local)")
            return tag, found.id
    wanted = requested if requested is not None else PULLED
    log(f"pulling {wanted}")
    refusal = engine.images.pull(wanted)
    if refusal is None:
        found = engine.images.find(wanted)
        if found is not None:
            return wanted, found.id
    if requested is not None:
        raise InfrastructureError(f"the base {requested} is not here and cannot be pulled: {refusal}")
    log(f"{PULLED} cannot be pulled ({refusal}); a base is made of Debian packages")
    _bootstrap(engine, cache=cache, log=log)
    found = engine.images.find(BOOTSTRAPPED)
    if found is None:
        raise InfrastructureError(f"{BOOTSTRAPPED} was imported, but the engine does not know it")
    return BOOTSTRAPPED, found.id


def bootstrap_command(target: Path) -> list[str]:
    """Return the command that writes a minimal Debian with Python as a tar archive to `target`."""
    excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in UNWANTED]
    return ["mmdebstrap", "--variant=essential", f"--include={','.join(PACKAGES)}", *excluded, SUITE, str(target)]


def _bootstrap(engine: Engine, *, cache: Path, log: Report) -> None:
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
        engine.images.take_in(archive, tag=BOOTSTRAPPED)
