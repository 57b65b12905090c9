"""The machine that a row was measured on, and how to find it idle."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("torch", "torchvision", "transformers", "peft", "accelerate", "datasketch", "numpy", "docker")
IMAGE = "nn-sandbox:cpu"
QUIET = 10.0  # percent of all cores


def describe() -> dict[str, Any]:
    """Return everything that a number may depend on and the code does not say."""
    models = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    return {
        "cpu": models[0].partition(":")[2].strip() if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "image": output("docker", "image", "inspect", "--format", "{{.Id}}", IMAGE),
        "engine": output("docker", "version", "--format", "{{.Server.Version}}"),
        "git": output("git", "rev-parse", "HEAD"),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def output(*command: str) -> str:
    """Return what `command` prints, without the line's end; empty where it fails."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def load() -> float:
    """Return the number of processes that wanted to run, averaged over the last minute."""
    return psutil.getloadavg()[0]


def settle(*, seconds: float = 30.0) -> None:
    """Wait until the machine has been idle for a second, but no longer than `seconds`; niced processes do not count."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        used = psutil.cpu_times_percent(interval=1.0)
        if used.user + used.system < QUIET:
            return
