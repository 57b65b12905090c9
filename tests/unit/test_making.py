"""Processes that want the same thing of a fresh cache at once all get it, whole, and none removes another's."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.making import making
from orchestrator.run.disk import read_lines
from orchestrator.run.keys import machine_key
from tests.support.checkout import CHECKOUT

PROCESSES = 4
SECONDS = 120


def together(body: str, *arguments: str) -> list[str]:
    """Run `body` in several processes that begin at once, and return what each printed."""
    program = f"import sys\nsys.stdin.readline()\n{textwrap.dedent(body)}"
    started = [
        subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=CHECKOUT, text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(PROCESSES)
    ]  # fmt: skip
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=SECONDS) for process in started]
    assert all(process.returncode == 0 for process in started), [error for _, error in ended]
    return [said for said, _ in ended]


def test_all_processes_get_one_key_of_the_machine(tmp_path: Path) -> None:
    said = together(
        """
        from pathlib import Path
        from orchestrator.run.keys import machine_key
        print(*(machine_key(Path(sys.argv[1]) / str(round), "p").hex() for round in range(50)))
        """,
        str(tmp_path),
    )
    assert len(set(said)) == 1
    assert said[0].split()[0] == machine_key(tmp_path / "0", "p").hex()


def test_data_that_one_process_has_mounted_no_other_removes(tmp_path: Path) -> None:
    said = together(
        """
        import os
        from pathlib import Path
        import numpy as np
        from orchestrator.evaluation.dataset import prepare
        from orchestrator.evaluation.originals import Raw, Split
        from orchestrator.sections import Protocol

        def read(dataset, *, cache):
            def split(count):
                pixels = np.random.default_rng(1).integers(0, 256, (count, 3, 32, 32))
                return Split(pixels.astype(np.uint8), np.resize(np.arange(10), count).astype(np.uint8))
            return Raw(train=split(3000), test=split(600), classes=10)

        prepared = prepare(Protocol(dataset="fashion-mnist"), Path(sys.argv[1]), read=read)
        print(os.stat(prepared.train_dir).st_ino, prepared.hash)
        """,
        str(tmp_path),
    )
    assert len(set(said)) == 1
    (folder,) = (path for path in (tmp_path / "data").iterdir() if path.is_dir())
    assert (folder / "train").stat().st_ino == int(said[0].split()[0])


def test_no_line_is_lost_that_processes_append_at_once(tmp_path: Path) -> None:
    together(
        """
        import os
        from pathlib import Path
        from orchestrator.run.disk import append_line
        for number in range(200):
            append_line(Path(sys.argv[1]), f"{os.getpid()} {number}".encode())
        """,
        str(tmp_path / "lines"),
    )
    lines = read_lines(tmp_path / "lines")
    assert len(set(lines.whole)) == 200 * PROCESSES
    assert not lines.torn


def test_a_cache_that_is_not_this_users_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    place = tmp_path / "cache" / "host.key"
    with pytest.raises(InfrastructureError, match=r"host\.key: cannot be written"), making(place):
        pass


def test_a_lock_leaves_nothing_behind(tmp_path: Path) -> None:
    with making(tmp_path / "thing"):
        assert [path.name for path in tmp_path.iterdir()] == [".thing.lock"]
    assert not list(tmp_path.iterdir())


def test_a_key_that_is_there_is_read_from_a_cache_that_nobody_may_write_to(tmp_path: Path) -> None:
    key = machine_key(tmp_path, "p")
    (tmp_path / "host.key").rename(tmp_path / "kept")
    (tmp_path / "sealed").mkdir()
    (tmp_path / "kept").rename(tmp_path / "sealed" / "host.key")
    (tmp_path / "sealed" / ".host.key.lock").mkdir()  # no lock can be made, also by root
    assert machine_key(tmp_path / "sealed", "p") == key


def test_what_a_killed_process_left_of_a_data_set_goes_with_the_next_one(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        import numpy as np
        from orchestrator.evaluation import dataset
        from orchestrator.evaluation.originals import Raw, Split
        from orchestrator.sections import Protocol
        split = Split(np.zeros((100, 3, 32, 32), np.uint8), np.arange(100, dtype=np.uint8) % 10)

        class Deadly(np.ndarray):
            def __getitem__(self, index):
                os.kill(os.getpid(), signal.SIGKILL)

        deadly = Split(split.images.view(Deadly), split.labels)
        train = deadly if sys.argv[2] == "killed" else split
        raw = Raw(train, split, 10)
        dataset.prepare(Protocol(dataset="fashion-mnist"), Path(sys.argv[1]), read=lambda *_, **__: raw)
        """
    )
    for how, status in (("killed", -9), ("lives", 0)):
        command = [sys.executable, "-c", program, str(tmp_path), how]
        assert subprocess.run(command, cwd=CHECKOUT, check=False, timeout=SECONDS).returncode == status
        left = [path.name for path in (tmp_path / "data").iterdir() if path.name.startswith(".")]
        assert bool(left) == (how == "killed")
