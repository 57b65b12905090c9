"""TensorBoard as an observer: its points follow from the ledgers, stand once, and cost the run nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from orchestrator.config import dump
from orchestrator.errors import InfrastructureError
from orchestrator.loop import Loop
from orchestrator.loop.fakes import FakeEvaluator, FakeGenerator, FakeTrainer, fake_parts
from orchestrator.progress import Event, Note, StageBegins
from orchestrator.records import CycleSummary, FinetuneStep
from orchestrator.report.tensorboard import LOSS, Tracker, numbers, tracking
from orchestrator.run import RunFolder
from orchestrator.sections import TrackerConfig
from tests.support.bench import Bench, config
from tests.support.checkout import QUICKSTART
from tests.support.imports import imported

TENSORBOARD = TrackerConfig(kind="tensorboard")
Points = list[tuple[int, float]]


@dataclass
class Watched:
    """A run on the fakes with TensorBoard attached as `orchestrate cycle` attaches it."""

    folder: Path
    seen: list[Event] = field(default_factory=list)

    def run(self, *, evaluator_breaks: int | None = None, cycles: int = 2) -> list[CycleSummary]:
        run = RunFolder.create(self.folder, config(cycles=cycles))
        observe = tracking(TENSORBOARD)(run, self.seen.append)
        evaluator = FakeEvaluator(protocol=run.config.protocol.hash(), breaks_after=evaluator_breaks)
        parts = fake_parts(run, generator=FakeGenerator(), evaluator=evaluator, trainer=FakeTrainer())
        return Loop(run, parts, observe=observe).run()

    def points(self, name: str, tag: str) -> Points:
        return points(self.folder / "tensorboard" / name, tag)

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.seen if isinstance(event, Note)]


def points(folder: Path, tag: str) -> Points:
    """What TensorBoard itself reads there, as step and value."""
    found = EventAccumulator(str(folder)).Reload()
    if tag not in found.Tags()["scalars"]:
        return []
    return [(point.step, pytest.approx(point.value)) for point in found.Scalars(tag)]


def step(number: int, *, loss: float = 1.0) -> FinetuneStep:
    return FinetuneStep(step=number, steps=3, loss=loss, learning_rate=1e-5, tokens=100, seconds=1.0)


def begins(cycle: int = 1) -> StageBegins:
    return StageBegins(cycle=cycle, name="finetune")


def test_every_cycle_gives_one_point_of_each_number_and_every_step_its_loss(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "run")
    summaries = watched.run()
    for tag, value in numbers(summaries[0]).items():
        assert watched.points("cycles", tag) == [(1, value), (2, numbers(summaries[1])[tag])]
    assert {
        "share/valid",
        "accuracy/mean",
        "accuracy/best",
        "count/admitted",
        "count/corpus",
        "seconds/evaluate",
    } <= set(numbers(summaries[0]))
    tracker = Tracker(tmp_path / "live", watched.seen.append)
    for event in (begins(), step(1, loss=3.0), step(2, loss=2.0), begins(2), step(1, loss=1.0)):
        tracker.observe(event)
    assert points(tmp_path / "live" / "cycle-001", LOSS) == [(1, 3.0), (2, 2.0)]
    assert points(tmp_path / "live" / "cycle-002", LOSS) == [(1, 1.0)]


def test_a_run_that_breaks_and_goes_on_has_every_point_once(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "run")
    with pytest.raises(InfrastructureError):
        watched.run(evaluator_breaks=25)
    assert [at for at, _ in watched.points("cycles", "share/valid")] == [1]
    summaries = watched.run()
    assert watched.points("cycles", "share/valid") == [(one.cycle, one.valid_rate) for one in summaries]
    assert watched.run() == summaries
    assert watched.points("cycles", "share/valid") == [(one.cycle, one.valid_rate) for one in summaries]
    assert watched.points("cycle-001", LOSS) == [(1, 1.0), (2, 0.5)]


def test_a_run_that_was_not_tracked_at_first_is_shown_from_its_first_cycle(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config(cycles=1))
    bench.run()
    watched = Watched(bench.folder)
    watched.run(cycles=2)
    assert [at for at, _ in watched.points("cycles", "accuracy/mean")] == [1, 2]
    assert watched.points("cycle-001", LOSS) == [(1, 1.0), (2, 0.5)]


def test_training_that_begins_again_replaces_the_loss_of_the_attempt_before(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path, [].append)
    for event in (begins(), step(1, loss=9.0), step(2, loss=8.0), step(1, loss=3.0), step(2, loss=2.0)):
        tracker.observe(event)
    assert points(tmp_path / "cycle-001", LOSS) == [(1, 3.0), (2, 2.0)]


def test_a_reader_of_the_old_points_learns_that_they_no_longer_count(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path, [].append)
    for event in (begins(), step(1, loss=9.0), step(2, loss=8.0)):
        tracker.observe(event)
    reader = EventAccumulator(str(tmp_path / "cycle-001")).Reload()
    assert len(reader.Scalars(LOSS)) == 2
    tracker.observe(step(1, loss=3.0))
    assert [(point.step, point.value) for point in reader.Reload().Scalars(LOSS)] == [(1, 3.0)]


def test_tracking_changes_no_ledger_and_nothing_that_is_frozen(tmp_path: Path) -> None:
    plain, watched = Bench(tmp_path / "plain", config()), Watched(tmp_path / "watched")
    plain.run()
    watched.run()
    assert Bench(watched.folder, config()).ledgers() == plain.ledgers()
    assert (plain.folder / "config.json").read_bytes() == (watched.folder / "config.json").read_bytes()
    tracked = config(tracker={"kind": "tensorboard", "folder": "somewhere"})
    assert tracked.tracker.folder == "somewhere"
    assert tracked.hash() == config().hash()
    assert "tracker" not in dump(tracked)
    assert RunFolder.create(plain.folder, tracked).config.tracker.kind == "tensorboard"


def test_a_disk_that_refuses_is_told_once_and_the_run_goes_on(tmp_path: Path) -> None:
    blocked = Watched(tmp_path / "run")
    blocked.folder.mkdir()
    (blocked.folder / "tensorboard").touch()
    assert len(blocked.run()) == 2
    assert [text for text in blocked.notes if "tracker" in text] == blocked.notes
    assert len(blocked.notes) == 1


def test_a_disk_that_fills_in_the_middle_is_told_once_too(tmp_path: Path) -> None:
    seen: list[Event] = []
    tracker = Tracker(tmp_path, seen.append)
    tracker.observe(begins())
    tracker.observe(step(1))
    [file] = (tmp_path / "cycle-001").iterdir()
    file.unlink()
    file.symlink_to("/dev/full")
    for number in (2, 3):
        tracker.observe(step(number))
    assert ["No space left" in event.text for event in seen if isinstance(event, Note)] == [True]
    assert len(seen) == 5


def test_files_of_others_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    run = Watched(tmp_path / "run")
    run.run()
    folder = run.folder / "tensorboard"
    others = [folder / "notes.txt", *(folder / "cycles" / name for name in ("mine.txt", "events.out.tfevents.1.me.2"))]
    for path in others:
        path.write_text("mine")
    run.run()
    assert all(path.read_text() == "mine" for path in others)


def test_a_chosen_folder_holds_a_folder_of_the_runs_name(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "one", config())
    tracking(TrackerConfig(kind="tensorboard", folder=str(tmp_path / "boards")))(run, [].append)
    assert [path.name for path in (tmp_path / "boards").iterdir()] == ["one"]
    assert not (run.path / "tensorboard").exists()
    shutil.rmtree(tmp_path / "boards")


def test_without_a_tracker_the_observer_is_the_same_object(tmp_path: Path) -> None:
    seen: list[Event] = []
    observe = seen.append
    assert tracking(TrackerConfig())(RunFolder.create(tmp_path, config()), observe) is observe


def test_a_missing_package_is_named_with_its_extra_before_the_run_has_a_folder(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['tensorboard'] = None\nfrom orchestrator.cli import main\n"
        f"main(['cycle', '--config', {str(QUICKSTART)!r}, '--runs', {str(tmp_path / 'runs')!r},"
        " '--set', 'tracker.kind=tensorboard'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "nn-orchestrate[tensorboard]" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_tracker_brings_no_torch() -> None:
    code = (
        "from orchestrator.sections import TrackerConfig\nfrom orchestrator.report.tensorboard import tracking\n"
        "tracking(TrackerConfig(kind='tensorboard'))"
    )
    assert imported(code, ("tensorboard", "torch")) == ["tensorboard"]
