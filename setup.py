"""Puts into a wheel what the code needs besides itself, which a checkout keeps in its top-level folders."""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("configs/*.yaml", "docker/sandbox.Dockerfile", "docker/seccomp.json", "docker/requirements-*.txt")
PLACE = Path("orchestrator") / "shipped_files"  # where orchestrator/shipped.py looks if there is no checkout


class BuildWithShippedFiles(build_py):
    """Copies the shipped files beside the packages; an editable installation finds them in its checkout."""

    def run(self) -> None:
        """Build the packages, then copy the files."""
        super().run()
        if self.editable_mode:
            return
        for pattern in SHIPPED:
            for source in sorted(Path().glob(pattern)):
                target = Path(self.build_lib) / PLACE / source
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target))


setup(cmdclass={"build_py": BuildWithShippedFiles})
