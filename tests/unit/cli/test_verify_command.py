"""`orchestrate audit verify` says what was checked, what does not hold, and what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import main
from orchestrator.run import RunFolder, run_lock
from orchestrator.run.verify import head
from tests.support.bench import Bench, broken_and_resumed


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return broken_and_resumed(tmp_path_factory.mktemp("verify") / "run")


@pytest.fixture
def run(whole: Bench, tmp_path: Path) -> Path:
    shutil.copytree(whole.folder, tmp_path / "run")
    return tmp_path / "run"


def audit(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("audit", "verify", *arguments))


def test_the_command_prints_what_was_checked_and_the_head(run: Path) -> None:
    done = audit(str(run), "--no-regrade")
    assert done.exit_code == 0, done.output
    assert "16  verdicts" in done.stdout
    assert head(run).hash in done.stdout
    last = audit("run", "--runs", str(run.parent), "--head").stdout.split()
    assert last == [str(head(run).index), head(run).hash]


def test_what_head_prints_is_what_expect_head_takes(run: Path) -> None:
    printed = audit(str(run), "--head").stdout
    for given in (printed, printed.split()[1]):
        done = audit(str(run), "--no-regrade", "--expect-head", given)
        assert done.exit_code == 0, done.output
    cut = audit(str(run), "--no-regrade", "--expect-head", "0" * 64)
    assert cut.exit_code == 1
    assert "its end was cut off or rewritten" in cut.output
    for wrong in (("--expect-head", "zzz"), ("--head", "--expect-head", "0" * 64)):
        assert audit(str(run), *wrong).exit_code == 2


def test_a_resume_is_advised_only_where_it_helps(run: Path) -> None:
    file = run / "config.json"
    before, config = file.read_bytes(), RunFolder.load(run).config
    Bench(run, config.model_copy(update={"cycles": 3})).run()
    file.write_bytes(before)  # as if killed between announcing more cycles and freezing them
    assert "resume the run" in audit(str(run), "--no-regrade").output
    file.write_bytes(before.replace(b'"seed": 0', b'"seed": 1', 1))
    assert file.read_bytes() != before
    said = audit(str(run), "--no-regrade").output
    assert "put the recorded file back" in said
    assert "resume the run" not in said


def test_the_command_names_what_does_not_hold_and_exits_with_one(run: Path) -> None:
    file = run / "cycle-002" / "candidates.jsonl"
    file.write_bytes(file.read_bytes().replace(b"c002-0003", b"c002-0004", 1))
    done = audit(str(run), "--no-regrade")
    assert done.exit_code == 1
    assert f"{file}, line 4: was changed" in done.output
    (run / "config.json").unlink()
    done = audit("run", "--runs", str(run.parent), "--no-regrade")
    assert done.exit_code == 1
    assert "config.json: is missing" in done.output
    assert audit("nowhere", "--runs", str(run.parent)).exit_code == 2


def test_a_run_that_is_being_worked_on_is_not_verified(run: Path) -> None:
    with run_lock(run):
        done = audit(str(run), "--no-regrade")
    assert done.exit_code == 1
    assert "is working on this run" in done.output
