"""Commands in surroundings that are not as usual: terminals, encodings, signals, and paths of all kinds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT
from tests.support.recorded_run import recorded

SQL = "SELECT candidate_id, state, 'é → ✓' AS mark FROM candidates"
SECONDS = 60


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("it's 100% [odd], a:b#?") / "runs"
    recorded(folder / "one", candidates=6)
    return folder


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "orchestrator", *arguments]


def surroundings(**changes: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(CHECKOUT)} | changes


def run(*arguments: str, cwd: Path = CHECKOUT, **changes: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(*arguments), cwd=cwd, env=surroundings(**changes), capture_output=True, check=False, timeout=SECONDS
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("asked", [("audit", "query", "one", SQL), ("audit", "list", "one"), ("report", "one")])
def test_an_answer_comes_whatever_the_encoding_of_the_output(runs: Path, encoding: str, asked: tuple[str, ...]) -> None:
    done = run(*asked, "--runs", str(runs), PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode("utf-8" if encoding == "ascii" else encoding)  # click takes ASCII for a mistake
    assert "c001-000" in text or "admitted" in text
    if asked[1] == "query":
        assert (r"é \u2192" if encoding == "latin-1" else "é →") in text


@pytest.mark.parametrize("colours", [{"FORCE_COLOR": "1"}, {"NO_COLOR": "1"}, {"TERM": "dumb"}, {"COLUMNS": "40"}])
def test_data_on_standard_output_are_data_whatever_a_terminal_is_said_to_be(
    runs: Path, colours: dict[str, str]
) -> None:
    done = run("audit", "list", "one", "--jsonl", "--runs", str(runs), **colours)
    assert [json.loads(line)["cycle"] for line in done.stdout.splitlines()] == [1] * 6


def test_a_reader_that_has_read_enough_ends_a_command_quietly(runs: Path) -> None:
    many = "SELECT a.*, repeat('x', 100) FROM candidates AS a, range(2000)"
    piped = subprocess.Popen(
        command("audit", "query", "one", many, "--runs", str(runs)),
        cwd=CHECKOUT, env=surroundings(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert piped.stdout is not None
    assert piped.stderr is not None
    piped.stdout.readline()
    piped.stdout.close()
    assert b"Traceback" not in piped.stderr.read()
    piped.stderr.close()
    assert piped.wait(timeout=SECONDS) in {0, 1}


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_full_or_a_closed_output_is_one_message_and_no_traceback(runs: Path, stream: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("audit", "list", "one", "--runs", str(runs)), cwd=CHECKOUT, env=surroundings(), check=False,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {stream: full}, timeout=SECONDS,
        )  # fmt: skip
    said = done.stderr if stream == "stdout" else done.stdout
    assert b"Traceback" not in (said or b"")
    if stream == "stdout":
        assert done.returncode == 1
        assert b"No space left on device" in said


@pytest.mark.parametrize("where", ["TMPDIR"])
def test_odd_characters_in_a_path_are_characters(runs: Path, tmp_path: Path, where: str) -> None:
    odd = tmp_path / "it's, odd"
    odd.mkdir()
    for kind in ("table", "parquet"):
        done = run("audit", "query", "one", SQL, "--format", kind, "--runs", str(runs), **{where: str(odd)})
        assert done.returncode == 0, done.stderr
    assert run("report", "one", "--runs", str(runs), "--out", str(odd / "report")).returncode == 0


@pytest.mark.parametrize("name", ["x" * 300, "-x", "a/b", "..", "a\nb", "ünï", "a b", ""])
def test_a_name_is_taken_or_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    done = run("cycle", "--config", "quickstart", f"--run={name}", "--runs", str(tmp_path), "--set", "protocol.lr=2")
    assert done.returncode == 2, done.stderr
    assert b"Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ignored", [True, False])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_a_command_was_started_to_ignore_is_ignored(*, number: signal.Signals, ignored: bool) -> None:
    usual = "signal.default_int_handler" if number == signal.SIGINT else "signal.SIG_DFL"
    program = f"""
import os, signal, sys
signal.signal({int(number)}, {"signal.SIG_IGN" if ignored else usual})
import click
from orchestrator.cli import main
@main.command("hurt")
def hurt():
    os.kill(os.getpid(), {int(number)})
    click.echo("lives on")
sys.argv = ["orchestrate", "hurt"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert ("lives on" in done.stdout) == ignored, done.stderr
    assert (done.returncode == 0) == ignored
