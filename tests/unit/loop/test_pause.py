"""A run that our own failure stops says what it is, what to do, and that nothing is lost."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from orchestrator.cli import main
from orchestrator.config import load
from orchestrator.run import RunFolder, run_lock
from orchestrator.run.chain import JOURNAL
from tests.support.checkout import QUICKSTART


def cycle(tmp_path: Path) -> Result:
    """Run a cycle whose data set can be neither found nor laid out: the cache would lie below a file."""
    (tmp_path / "file").touch()
    folders = ("--run", "test", "--runs", str(tmp_path / "runs"), "--cache", str(tmp_path / "file" / "cache"))
    return CliRunner().invoke(main, ("cycle", "--config", str(QUICKSTART), *folders))


def test_images_that_cannot_be_had_begin_no_run_and_the_message_says_what_to_do(tmp_path: Path) -> None:
    done = cycle(tmp_path)
    assert done.exit_code == 1
    assert "fashion-mnist" in done.output
    assert "No run was begun: put this right, then run the same command again" in done.output
    assert not list((tmp_path / "runs").iterdir())
    assert cycle(tmp_path).output == done.output


def test_images_that_can_no_more_be_had_pause_a_run_and_the_message_says_how_it_goes_on(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "runs" / "test", load(QUICKSTART))
    done = cycle(tmp_path)
    assert done.exit_code == 1
    assert "The run is paused and keeps all that is complete: put this right" in done.output


def test_a_folder_that_is_no_run_is_not_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "test"
    folder.mkdir(parents=True)
    (folder / "thesis.tex").touch()
    done = cycle(tmp_path)
    assert done.exit_code == 2
    assert f"{folder}: holds thesis.tex and no run; name another with --run" in done.output
    (folder / "thesis.tex").unlink()
    folder.rmdir()
    folder.touch()
    done = cycle(tmp_path)
    assert done.exit_code == 2
    assert f"{folder}: cannot be a run's folder: Not a directory" in done.output


def test_a_second_orchestrator_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "test"
    folder.mkdir(parents=True)
    with run_lock(folder):
        done = cycle(tmp_path)
    assert done.exit_code == 1
    assert "is working on this run" in done.output
    assert "put this right" not in done.output
    assert sorted(path.name for path in folder.iterdir()) == ["lock"]
    assert not (folder / JOURNAL).exists()
