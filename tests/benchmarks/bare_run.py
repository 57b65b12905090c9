"""Starts `bare`: programs one after the other in one plain process on the host, on the sandbox image's own torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from orchestrator.config import Config
from orchestrator.evaluation import Prepared
from tests.benchmarks.docker_run import job
from tests.benchmarks.machine import output
from tests.benchmarks.row import WORK
from tests.support.checkout import CHECKOUT

PACKAGES = "/usr/local/lib/sandbox"


@dataclass(frozen=True)
class Bare:
    """A plain process under one configuration's protocol, with so many torch threads."""

    config: Config
    prepared: Prepared
    threads: int

    def run(self, sources: Sequence[bytes]) -> list[dict[str, float]]:
        """Return the seconds of each stage of each program, without the process's start.

        Raises:
            ClickException: the process died.
        """
        with TemporaryDirectory() as temporary:
            work = self._lay_out(Path(temporary), sources)
            environment = {
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{packages(self.config.sandbox.image)}:{CHECKOUT}",
                "OMP_NUM_THREADS": str(self.threads),
            }
            command = [sys.executable, "-P", "-s", "-S", "-m", "tests.benchmarks.bare", str(work)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise click.ClickException(f"the bare process failed: {done.stderr[-2000:]}")
        seconds: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
        return seconds

    def _lay_out(self, folder: Path, sources: Sequence[bytes]) -> Path:
        images = folder / "images"
        images.write_bytes(np.ascontiguousarray(self.prepared.validation_images()).tobytes())
        programs = []
        for number, source in enumerate(sources):
            file = folder / f"{number}.py"
            file.write_bytes(source)
            programs.append(
                {"source": str(file), "job": job(self.config, self.prepared, source) | {"threads": self.threads}}
            )
        work = folder / "work.json"
        data = {"data": str(self.prepared.train_dir), "images": str(images), "programs": programs}
        work.write_text(json.dumps(data), encoding="utf-8")
        return work


def packages(image: str) -> Path:
    """Return a folder with the image's own torch and numpy, copied out of it once."""
    identity = output("docker", "image", "inspect", "--format", "{{.Id}}", image).removeprefix("sha256:")
    folder = WORK / f"packages-{identity[:16]}"
    if not folder.is_dir():
        container = output("docker", "create", image, "true")
        partial = folder.with_suffix(".part")
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(["docker", "cp", f"{container}:{PACKAGES}", str(partial)], check=True, capture_output=True)
            partial.rename(folder)
        finally:
            subprocess.run(["docker", "rm", container], check=True, capture_output=True)
    return folder
