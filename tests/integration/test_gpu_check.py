"""A container is ready only if its GPU works; here there is none, so the check is seen to find that."""

from __future__ import annotations

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
CHECK = "from sandbox_image.supervisor import trouble_on; print(trouble_on({device!r}))"


def trouble(device: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CHECK.format(device=device)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_device_that_works_is_no_trouble() -> None:
    assert trouble("cpu") == "None"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU that works")
def test_a_gpu_that_does_not_work_is_named() -> None:
    assert "NVIDIA" in trouble("cuda") or "CUDA" in trouble("cuda")
