"""What a person sees of `evaluate`: it takes folders and standard input, and explains a failure on a narrow screen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import CACHE, CHECKOUT

pytestmark = pytest.mark.docker

CRASHES = b"""
import torch.nn as nn
print("about to be built")
class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        raise ValueError("no width is right")
    def forward(self, x):
        return x
"""


def evaluate(*arguments: str, program: bytes = b"", columns: int = 80) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "orchestrator", "evaluate", *arguments, "--cache", str(CACHE)]
    environment = os.environ | {"COLUMNS": str(columns)}
    return subprocess.run(
        command, cwd=CHECKOUT, input=program, env=environment, capture_output=True, check=False, timeout=300
    )


def test_a_folder_stands_for_the_programs_in_it_and_verbose_says_where_each_failed(tmp_path: Path) -> None:
    (tmp_path / "crashes.py").write_bytes(CRASHES)
    (tmp_path / "unfinished.py").write_bytes(b"def forward(:\n")
    (tmp_path / "notes.txt").write_bytes(b"no program")
    done = evaluate(str(tmp_path), "--verbose")
    said = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    assert "notes.txt" not in said
    assert "crashes.py: failed in instantiate" in said
    assert "ValueError: no width is right" in said
    assert "at candidate.py:8 __init__" in said
    assert "stdout:\nabout to be built" in said
    assert "unfinished.py: syntax_error in parse" in said
    assert "containers run at" in done.stderr.decode()


def test_a_program_comes_from_standard_input() -> None:
    done = evaluate("-", "--jsonl", program=CRASHES)
    (verdict,) = (json.loads(line) for line in done.stdout.splitlines())
    assert (verdict["file"], verdict["state"], verdict["stage"]) == ("-", "failed", "instantiate")


def test_a_folder_without_programs_is_refused(tmp_path: Path) -> None:
    done = evaluate(str(tmp_path))
    assert done.returncode == 2
    assert b"holds no Python file" in done.stderr
