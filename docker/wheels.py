"""Builds the wheels of this project: `python docker/wheels.py dist`, which needs the package `build`.

`nn-orchestrate` is the whole project. `nn-orchestrate-light` is the same code without the packages that only the
language model's worker and torchvision's data sets need: who evaluates programs, audits runs and reports on them needs
none of these on the host. It is a distribution of its own because an extra cannot take a dependency away; its extra
`whole` brings them back.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parent.parent
NAME, LIGHT = "nn-orchestrate", "nn-orchestrate-light"
HEAVY = ("accelerate", "peft", "torch", "torchvision", "transformers")
SOURCES = ("configs", "docker", "llm", "orchestrator", "sandbox_image")
FILES = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py")


def wheel(out: Path, *, light: bool = False) -> Path:
    """Build one wheel into `out` from a copy of the sources, and return its path.

    Raises:
        CalledProcessError: it cannot be built.
    """
    with tempfile.TemporaryDirectory(prefix="wheel-") as work:
        tree = Path(work) / "project"
        tree.mkdir()
        for name in SOURCES:
            shutil.copytree(PROJECT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in FILES:
            shutil.copyfile(PROJECT / name, tree / name)
        if light:
            project = tree / "pyproject.toml"
            project.write_text(lightened(project.read_text(encoding="utf-8")), encoding="utf-8")
        built = Path(work) / "built"
        subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(built), str(tree)], check=True)
        (made,) = built.glob("*.whl")
        out.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(made, out))


def lightened(project: str) -> str:
    """Return the text of pyproject.toml under the light name and without the heavy dependencies."""
    heavy = tuple(f'  "{name}>=' for name in HEAVY)
    lines = project.splitlines()
    gone = "\n".join(line for line in lines if line.startswith(heavy))
    kept = "\n".join(line for line in lines if not line.startswith(heavy)) + "\n"
    extras = "[project.optional-dependencies]\n"
    return kept.replace(f'name = "{NAME}"', f'name = "{LIGHT}"').replace(extras, f"{extras}whole = [\n{gone}\n]\n")


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "dist")
    for light in (False, True):
        sys.stdout.write(f"{wheel(target, light=light)}\n")
