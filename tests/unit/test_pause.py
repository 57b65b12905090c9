"""A run that our own failure stops says what it is, what to do, and that nothing is lost."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from orchestrator.account import JOURNAL
from orchestrator.cli import main
from orchestrator.ledger import run_lock

QUICKSTART = str(Path(__file__).parents[2] / "configs" / "quickstart.yaml")


def cycle(tmp_path: Path) -> Result:
    """Run a cycle whose data set can be neither found nor laid out: the cache would lie below a file."""
    (tmp_path / "file").touch()
    folders = ("--run", "test", "--runs", str(tmp_path / "runs"), "--cache", str(tmp_path / "file" / "cache"))
    return CliRunner().invoke(main, ("cycle", "--config", QUICKSTART, *folders))


def test_images_that_cannot_be_had_pause_the_run_and_the_message_says_how_it_goes_on(tmp_path: Path) -> None:
    done = cycle(tmp_path)
    assert done.exit_code == 1
    assert "fashion-mnist" in done.output
    assert "The run is paused" in done.output
    assert "run the same command again" in done.output


def test_a_second_orchestrator_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "test"
    folder.mkdir(parents=True)
    with run_lock(folder):
        done = cycle(tmp_path)
    assert done.exit_code == 1
    assert "is working on this run" in done.output
    assert "paused" not in done.output
    assert sorted(path.name for path in folder.iterdir()) == ["lock"]
    assert not (folder / JOURNAL).exists()
