"""Virtual environments for the peers, each beside the project's own and with the very packages that both need."""

from __future__ import annotations

import site
import subprocess
import sys
from pathlib import Path

import click

from tests.benchmarks.machine import output
from tests.benchmarks.row import CACHE

PEERS = CACHE / "peers"
SHARED = ("torch", "transformers", "accelerate", "peft", "numpy", "tokenizers", "safetensors", "huggingface_hub")


def python(name: str, requirement: str) -> Path:
    """Return the interpreter of the environment `name` with `requirement` in it, made where it is missing.

    The project's own packages are visible in it, so that torch and transformers are the same on both sides; whatever
    else the peer asks for is installed into its environment alone.

    Raises:
        ClickException: it cannot be installed here.
    """
    folder = PEERS / name
    binary = folder / "bin" / "python"
    marker = folder / f"{requirement}.installed"
    if marker.is_file():
        return binary
    click.echo(f"installing {requirement} into {folder}", err=True)
    pinned = folder / "constraints.txt"
    own = Path(site.getsitepackages()[0])
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        (next(folder.glob("lib/*/site-packages")) / "project.pth").write_text(f"{own}\n", encoding="utf-8")
        frozen = output(sys.executable, "-m", "pip", "freeze").splitlines()
        kept = [line for line in frozen if line.partition("==")[0].lower() in SHARED]
        pinned.write_text("\n".join(kept) + "\n", encoding="utf-8")
        subprocess.run([str(binary), "-m", "pip", "install", "-q", "-c", str(pinned), requirement], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise click.ClickException(f"{requirement} cannot be installed: {error}") from error
    marker.touch()
    return binary


def version(binary: Path, package: str) -> str:
    """Return the version of `package` that `binary` sees."""
    return output(str(binary), "-c", f"import importlib.metadata as m; print(m.version({package!r}))")
