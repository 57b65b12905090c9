"""Virtual environments for the peers, each beside the project's own and with the very packages that both need."""

from __future__ import annotations

import site
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from tests.benchmarks.machine import output
from tests.benchmarks.row import CACHE

PEERS = CACHE / "peers"
SHARED = ("torch", "transformers", "accelerate", "peft", "numpy", "tokenizers", "safetensors", "huggingface_hub")


def python(name: str, *requirements: str, alone: Sequence[str] = ()) -> Path:
    """Return the interpreter of the environment `name` with `requirements` in it, made where it is missing.

    The project's own packages are visible in it, so that torch and transformers are the same on both sides; whatever
    else the peer asks for is installed into its environment alone. What is named by `alone` is installed without the
    packages that it asks for.

    Raises:
        ClickException: something cannot be installed here.
    """
    folder = PEERS / name
    binary = folder / "bin" / "python"
    marker = folder / "installed"
    wanted = "\n".join((*alone, *requirements))
    if marker.is_file() and marker.read_text(encoding="utf-8") == wanted:
        return binary
    click.echo(f"installing {name} into {folder}", err=True)
    pinned = folder / "constraints.txt"
    own = Path(site.getsitepackages()[0])
    pip = [str(binary), "-m", "pip", "install", "-q"]
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        (next(folder.glob("lib/*/site-packages")) / "project.pth").write_text(f"{own}\n", encoding="utf-8")
        frozen = output(sys.executable, "-m", "pip", "freeze").splitlines()
        kept = [line for line in frozen if line.partition("==")[0].lower() in SHARED]
        pinned.write_text("\n".join(kept) + "\n", encoding="utf-8")
        if alone:
            subprocess.run([*pip, "--no-deps", *alone], check=True)
        subprocess.run([*pip, "-c", str(pinned), *requirements], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise click.ClickException(f"{name} cannot be installed: {error}") from error
    marker.write_text(wanted, encoding="utf-8")
    return binary
