"""A container is ready only if its GPU works; one that no machine has is seen to be found out."""

from __future__ import annotations

import subprocess
import sys

CHECK = "from sandbox_image.supervisor import trouble_on; print(trouble_on({device!r}))"


def trouble(device: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CHECK.format(device=device)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_device_that_works_is_no_trouble() -> None:
    assert trouble("cpu") == "None"


def test_a_gpu_that_does_not_work_is_named() -> None:
    said = trouble("cuda:99")
    assert "NVIDIA" in said or "CUDA" in said
