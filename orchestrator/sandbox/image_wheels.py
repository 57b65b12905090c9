"""The wheels that go into the sandbox image, fetched on the host for the image's Python and not the host's."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from orchestrator.errors import InfrastructureError
from orchestrator.making import making
from orchestrator.progress import Report
from orchestrator.records import digest

PYTHON = "3.11"  # of the image; the Dockerfile refuses any other
OLDEST_GLIBC, GLIBC = 17, 36  # 2.x: what manylinux wheels may ask for, up to what Debian 12 has
STAMP = ".requirements"


def fetch_wheels(requirements: bytes, *, folder: Path, log: Report) -> list[Path]:
    """Return the wheels of `requirements` and all they depend on, and pip itself, from `folder`; fetch them if changed.

    Which index they come from is pip's own configuration. The folder is replaced whole or not at all.

    Raises:
        InfrastructureError: pip is missing or cannot find a wheel.
    """
    stamp = folder / STAMP
    wanted = digest(requirements)
    with making(folder):
        if stamp.is_file() and stamp.read_text(encoding="ascii") == wanted:
            return sorted(folder.glob("*.whl"))
        for left in folder.parent.glob(f".{folder.name}-*/"):  # by a process that was killed: this one has the lock
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as work:
            _download(requirements, work=Path(work), log=log)
            fresh = Path(work) / "wheels"
            (fresh / STAMP).write_text(wanted, encoding="ascii")
            if folder.exists():
                shutil.rmtree(folder)
            fresh.rename(folder)
    return sorted(folder.glob("*.whl"))


def download_command(requirements: Path, *, target: Path) -> list[str]:
    """Return the pip command that fetches wheels for the image's Python on x86-64 Linux."""
    platforms = ["linux_x86_64", "manylinux2014_x86_64"]
    platforms += [f"manylinux_2_{minor}_x86_64" for minor in range(OLDEST_GLIBC, GLIBC + 1)]
    return [
        sys.executable,
        *("-m", "pip", "download", "--quiet", "--no-input", "--progress-bar=off", "--only-binary=:all:"),
        *(f"--python-version={PYTHON}", "--implementation=cp"),
        *(f"--platform={platform}" for platform in platforms),
        *(f"--dest={target}", f"--requirement={requirements}", "pip"),
    ]


def _download(requirements: bytes, *, work: Path, log: Report) -> None:
    listed = work / "requirements.txt"
    listed.write_bytes(requirements)
    (work / "wheels").mkdir()
    command = download_command(listed, target=work / "wheels")
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            lines.append(line.strip())
            log(line.strip())
    if process.returncode != 0:
        raise InfrastructureError("pip could not fetch the image's wheels: " + "\n".join(lines[-5:]))
