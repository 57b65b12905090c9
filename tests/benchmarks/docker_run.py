"""The peer of rows about the sandbox: `docker run` of the same image, with a plain script piped into its Python."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from orchestrator.config import Config
from orchestrator.evaluation import Prepared
from orchestrator.evaluation.exam import conditions
from orchestrator.records import digest
from orchestrator.sandbox.lockdown import tmp_options
from orchestrator.sandbox.session import SECCOMP

SCRIPT = Path(__file__).parent / "piped.py"
USER = "10001:10001"


@dataclass(frozen=True)
class Ran:
    """What came of one `docker run`: when it was started (monotonic seconds), how long it took, and its last line."""

    began: float
    seconds: float
    said: dict[str, Any]


def command(config: Config, prepared: Prepared) -> list[str]:
    """Return the command line: the limits of the sandbox, as far as Docker's own flags offer them."""
    limits = config.sandbox.limits
    return [
        *("docker", "run", "--rm", "--interactive", "--network=none", "--read-only", "--log-driver=none"),
        *("--cap-drop=ALL", "--security-opt=no-new-privileges", f"--security-opt=seccomp={SECCOMP}"),
        *(f"--tmpfs=/tmp:{tmp_options(limits)}", f"--shm-size={limits.shm}", f"--pids-limit={limits.pids}"),
        *(f"--memory={limits.memory}", f"--memory-swap={limits.memory}", f"--cpus={limits.cpus:g}"),
        *(f"--ulimit=nofile={limits.nofile}", "--ulimit=core=0", f"--user={USER}"),
        *("--env=PYTHONHASHSEED=0", f"--env=OMP_NUM_THREADS={config.sandbox.threads}"),
        f"--mount=type=bind,source={prepared.train_dir},target=/data,readonly",
        f"--mount=type=bind,source={prepared.validation_path.parent.resolve()},target=/validation,readonly",
        *(config.sandbox.image, "python3", "-P", "-s", "-B", "-"),
    ]


def job(config: Config, prepared: Prepared, source: bytes, *, parse_first: bool = False) -> dict[str, Any]:
    """Return what the program is run under: the evaluator's own job, without the parts that only it needs."""
    return {
        "parse_first": parse_first,
        "threads": config.sandbox.threads,
        "device": "cpu",
        **conditions(config.protocol, prepared, source=digest(source)),
    }


def run(line: Sequence[str], job: dict[str, Any], source: bytes) -> Ran:
    """Run one program in a container of its own; the script's last line is JSON.

    Raises:
        ClickException: the container said nothing.
    """
    head = f"SOURCE = {source!r}\nJOB = {json.dumps(json.dumps(job))}\n"
    began = time.monotonic()
    done = subprocess.run(
        list(line), input=head + SCRIPT.read_text(encoding="utf-8"), capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - began
    spoken = done.stdout.splitlines()
    if done.returncode != 0 or not spoken:
        raise click.ClickException(f"docker run failed ({done.returncode}): {done.stderr[-1000:]}")
    return Ran(began=began, seconds=seconds, said=json.loads(spoken[-1]))
