"""TensorBoard as one more observer: what it shows follows from the ledgers, and nothing in a run depends on it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

from orchestrator.errors import ConfigError
from orchestrator.progress import Event, Note, Observer, StageBegins
from orchestrator.records import CycleSummary, FinetuneStep
from orchestrator.run import RunFolder
from orchestrator.sections import TrackerConfig
from orchestrator.shipped import installing

FILES = "events.out.tfevents.{time}.orchestrate"  # another suffix than other tools give
FORMAT = "brain.Event:2"  # what TensorBoard expects of a file's first event
CYCLES = "cycles"
LOSS = "finetune/loss"

Attach: TypeAlias = Callable[[RunFolder, Observer], Observer]
Points: TypeAlias = Iterable[tuple[int, Mapping[str, float]]]


def tracking(config: TrackerConfig) -> Attach:
    """Return what attaches the configured tracker to a run, in front of the observer that it has.

    Raises:
        ConfigError: the package that it needs is missing.
    """
    if config.kind == "none":
        return lambda _, observe: observe
    _tensorboard()

    def attach(run: RunFolder, observe: Observer) -> Observer:
        folder = run.path / "tensorboard" if config.folder is None else Path(config.folder).expanduser() / run.path.name
        tracker = Tracker(folder, observe)
        tracker.catch_up(run)
        return tracker.observe

    return attach


class Tracker:
    """Writes events for TensorBoard to `folder`, and passes all it sees on to `observe`.

    `cycles` in it has the numbers of each cycle by cycle, `cycle-NNN` the loss of that cycle's fine-tuning by step.
    Each is begun anew by a run that goes on, from its ledgers, so that no point stands twice. Files of other tools in
    these folders are left alone. When the disk refuses, a note says so once, and the run goes on without.
    """

    def __init__(self, folder: Path, observe: Observer) -> None:
        self._folder = folder
        self._observe = observe
        self._files: dict[str, Path] = {}
        self._cycle = 0
        self._step = 0
        self._broken = False

    def catch_up(self, run: RunFolder) -> None:
        """Write what the whole ledgers of `run` already have."""
        self._begin(CYCLES)
        for folder in RunFolder.load(run.path).cycles():  # another reader: what a kill tore is told by the run's own
            for adapter in folder.adapter.read():
                self._begin(folder.path.name)
                self._write(folder.path.name, ((step, {LOSS: loss}) for step, loss in enumerate(adapter.loss, start=1)))
            for summary in folder.summary.read() if folder.summary.whole else ():
                self._write(CYCLES, [(summary.cycle, numbers(summary))])

    def observe(self, event: Event) -> None:
        """Take one event."""
        self._observe(event)
        if isinstance(event, StageBegins):
            self._cycle, self._step = event.cycle, 0
        elif isinstance(event, FinetuneStep):
            name = f"cycle-{self._cycle:03d}"
            if self._step == 0 or event.step <= self._step:  # training began, or began again after a worker died
                self._begin(name)
            self._step = event.step
            self._write(name, [(event.step, {LOSS: event.loss})])
        elif isinstance(event, CycleSummary):
            self._write(CYCLES, [(event.cycle, numbers(event))])

    def _begin(self, name: str) -> None:
        """Start the points of `name` anew; whoever is reading the old ones is told that they no longer count.

        An old file is emptied first and removed the next time: TensorBoard's own reader never leaves one that is gone.
        """
        events, _, _ = _tensorboard()
        restart = events.SessionLog(status=events.SessionLog.START)
        folder = self._folder / name
        self._files[name] = folder / FILES.format(time=time.time_ns())

        def begin() -> None:
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob(FILES.format(time="*")):
                if old.stat().st_size:
                    os.truncate(old, 0)
                else:
                    old.unlink()

        self._guarded(begin)
        self._append(name, [events.Event(file_version=FORMAT), events.Event(session_log=restart, step=0)])

    def _write(self, name: str, points: Points) -> None:
        events, summaries, _ = _tensorboard()
        self._append(name, [_event(events, summaries, step, values) for step, values in points])

    def _append(self, name: str, found: Iterable[Any]) -> None:
        _, _, writer = _tensorboard()

        def append() -> None:
            with closing(writer(self._files[name].open("ab"))) as file:
                for event in found:
                    event.wall_time = time.time()
                    file.write(event.SerializeToString())

        self._guarded(append)

    def _guarded(self, work: Callable[[], None]) -> None:
        if self._broken:
            return
        try:
            work()
        except OSError as error:
            self._broken = True
            self._observe(Note(f"tracker: TensorBoard gets no more events: {error}; the run goes on without"))


def numbers(summary: CycleSummary) -> dict[str, float]:
    """Return the numbers of one cycle by the tag under which they are shown; those that are unknown are left out."""
    found = {
        "share/valid": summary.valid_rate,
        "share/above_threshold": summary.above_rate,
        "accuracy/mean": summary.accuracy_mean,
        "accuracy/median": summary.accuracy_median,
        "accuracy/best": summary.accuracy_best,
        "accuracy/chance": summary.chance,
        "accuracy/majority_class": summary.majority,
        "count/generated": summary.generated,
        "count/admitted": summary.admitted,
        "count/duplicates": summary.rejected_duplicates,
        "count/corpus": summary.corpus_after,
    } | {f"seconds/{stage}": seconds for stage, seconds in summary.measured.items()}
    return {tag: float(value) for tag, value in found.items() if value is not None}


def _event(events: Any, summaries: Any, step: int, values: Mapping[str, float]) -> Any:
    value = [summaries.Summary.Value(tag=tag, simple_value=number) for tag, number in values.items()]
    return events.Event(step=step, summary=summaries.Summary(value=value))


def _tensorboard() -> tuple[Any, Any, Any]:
    """Return TensorBoard's event and summary messages and its record writer; none of them brings torch."""
    try:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter
    except ImportError as error:
        raise ConfigError(
            f"tracker.kind: tensorboard needs a package that is not there ({error}):"
            f" {installing('tensorboard')}, or set tracker.kind to none"
        ) from error
    return event_pb2, summary_pb2, RecordWriter
