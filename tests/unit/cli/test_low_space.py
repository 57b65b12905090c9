"""A disk that has no more room is named with what to do, wherever it is met, and leaves nothing half written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT
from tests.support.recorded_run import recorded

SECONDS = 60
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
"""
COMMAND = f"{LIMITED}\nfrom orchestrator.__main__ import main\nmain(prog_name='orchestrate')\n"
DATA = f"""{LIMITED}
from pathlib import Path
import numpy as np
from orchestrator.errors import InfrastructureError
from orchestrator.evaluation.dataset import prepare
from orchestrator.evaluation.originals import Raw, Split
from orchestrator.sections import Protocol
split = Split(np.zeros((100, 3, 32, 32), np.uint8), np.arange(100, dtype=np.uint8) % 10)
try:
    prepare(Protocol(dataset="fashion-mnist"), Path(sys.argv[1]), read=lambda *_, **__: Raw(split, split, 10))
except InfrastructureError as error:
    print(error)
"""
ALL = "SELECT * FROM candidates"


def limited(program: str, *arguments: str, size: int = 8192, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a program to which no file may grow beyond `size` bytes."""
    return subprocess.run(
        [sys.executable, "-c", program, str(size), *arguments], cwd=CHECKOUT, env=os.environ | changes, text=True,
        capture_output=True, check=False, timeout=SECONDS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    recorded(folder / "one", candidates=30)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ("report", "one", "--out"),
        ("corpus", "export", "one", "--out"),
        ("audit", "query", "one", ALL, "--format", "csv", "--out"),
        ("audit", "query", "one", ALL, "--format", "parquet", "--out"),
    ],
    ids=" ".join,
)
def test_what_a_command_writes_is_whole_or_not_there(runs: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    done = limited(COMMAND, *command, str(tmp_path / "out"), "--runs", str(runs), ORCHESTRATE_CACHE=str(tmp_path / "c"))
    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    left = [path.name for path in tmp_path.iterdir()]
    assert left == (["out"] if command[0] == "report" else [])  # a report's folder goes on being one


def test_a_data_set_that_does_not_fit_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    done = limited(DATA, str(tmp_path / "cache"), size=1 << 16)
    assert "cannot be written: File too large; free space and resume" in done.stdout
    assert not list((tmp_path / "cache" / "data").iterdir())


def test_a_temporary_folder_without_room_is_a_message(runs: Path, tmp_path: Path) -> None:
    done = limited(COMMAND, "audit", "query", "one", ALL, "--format", "parquet", "--runs", str(runs),
                   size=512, TMPDIR=str(tmp_path))  # fmt: skip
    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
