"""What a candidate printed is shown in printable characters and newlines, whatever it printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli import main
from tests.support.checkout import CHECKOUT
from tests.support.recorded_run import recorded

FAILED = "c001-0002"
HOSTILE = {
    "ansi": b"\x1b[31mred\x1b[0m\x1b[2J\x1b[1;1H",
    "c1": "\u009b31m \u0090q \u009d0;x\u009c".encode(),
    "raw_c1": b"\x9b31m\x9d0;x\x9c",
    "osc": b"\x1b]0;title\x07\x1b]52;c;ZXZpbA==\x07\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "carriage_return": b"good\rbad \x08\x08\x0b\x0c",
    "bell": b"\x07\x07",
    "bidi": "\u202eevil\u202c \u2066a\u2069 \u200f\u061c".encode(),
    "zero_width": "a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg".encode(),
    "fillers": "\u115f\u1160\u3164\uffa0\u034f\ufe0f\U000e0100".encode(),
    "tags": "\U000e0041\U000e007f".encode(),
    "separators": "\u2028\u2029\u0085\u00a0".encode(),
    "not_utf8": b"\xff\xfe\xc0\x80 \xe2\x82",
    "nul": b"a\x00b",
    "surrogates": b"\xed\xa0\x80 \xed\xb0\x80",
    "private_and_unassigned": "\ue000 \U0010ffff \u0378".encode(),
    "tab": b"a\tb",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name, log in HOSTILE.items():
        recorded(folder / name, candidates=3, log=log)
    recorded(folder / "all", candidates=3, log=b"\n".join(HOSTILE.values()))
    return folder


def harmless(printed: bytes) -> bool:
    return all(char == "\n" or char.isprintable() for char in printed.decode())


@pytest.mark.parametrize("name", HOSTILE)
def test_only_printable_characters_and_newlines_are_printed(runs: Path, name: str) -> None:
    for command in (["log"], ["show", "--completion"], ["list"]):
        candidate = [] if command == ["list"] else [FAILED]
        done = CliRunner().invoke(main, ["audit", *command, name, *candidate, "--runs", str(runs)])
        assert done.exit_code == 0
        assert harmless(done.stdout_bytes)
        assert harmless(done.stderr_bytes)


def test_nothing_of_a_log_is_lost(runs: Path) -> None:
    done = CliRunner().invoke(main, ["audit", "log", "bidi", FAILED, "--runs", str(runs)])
    assert done.stdout == "--- stdout\n--- stderr\n\\u202eevil\\u202c \\u2066a\\u2069 \\u200f\\u061c" + f"{FAILED}\n"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_a_process_of_its_own_prints_the_same_in_any_encoding(runs: Path, encoding: str) -> None:
    command = [sys.executable, "-m", "orchestrator", "audit", "log", "all", FAILED, "--runs", str(runs)]
    environment = {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert harmless(done.stdout.decode(encoding).encode())
    assert rb"\x1b[31mred\x1b[0m" in done.stdout
    assert not set(done.stdout) & {*range(0x0A), *range(0x0B, 0x20), *range(0x7F, 0x100)} or encoding == "utf-8"
    assert done.stderr == b""


def test_a_log_that_nobody_has_and_a_log_that_is_damaged_are_told_apart(runs: Path, tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    stored = run.cycle(1).verdicts.read()[2].measured.stderr
    assert stored is not None
    run.store.path(stored).write_bytes(b"changed")
    done = CliRunner().invoke(main, ["audit", "log", str(tmp_path / "run"), FAILED])
    assert (done.exit_code, "no longer has the digest" in done.stderr) == (1, True)
    run.store.path(stored).unlink()
    done = CliRunner().invoke(main, ["audit", "log", str(tmp_path / "run"), FAILED])
    assert (done.exit_code, "cannot be read" in done.stderr) == (1, True)
