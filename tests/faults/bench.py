"""Where faults are done: an engine of the suite's own, an undisturbed run to compare with, and what a fault left."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from orchestrator.sandbox.cgroup import empty_groups
from tests.faults.cycle import CACHE, CANDIDATES, CYCLES, config
from tests.faults.engine import Engine, own_engine
from tests.faults.ledgers import Difference, difference
from tests.faults.orchestrator import Ended, Orchestrator

RESUMES = 4  # at the most, until a run must be done
PASSING = 5.0  # seconds in which an empty group of another orchestrator goes or is used


@dataclass(frozen=True)
class Result:
    """What one fault came to: how often the run was resumed, what its ledgers lack, and what it left running.

    `strays` are containers that the engine itself lost: nothing but their own life ends them.
    """

    kind: str
    resumes: int
    difference: Difference
    containers: int
    groups: int
    strays: int = 0
    note: str = ""

    @property
    def survived(self) -> bool:
        """Whether nothing was lost, repeated, changed or left behind."""
        return self.difference.none and not self.containers and not self.groups and not self.note


@dataclass(frozen=True)
class Bench:
    """An engine, a folder to work in, and an undisturbed run with its number of points."""

    engine: Engine
    folder: Path
    undisturbed: Path
    points: int

    def start(self, run: Path, *options: str, environment: Mapping[str, str] | None = None) -> Orchestrator:
        """Start or resume a run."""
        return Orchestrator(run, *options, address=self.engine.address, environment=environment)

    def resumed(self, run: Path) -> tuple[int, Ended]:
        """Start the same command again until it is done, and return how often that was and how it ended."""
        count, ended = 1, self.start(run).ended()
        while ended.status and count < RESUMES:
            count, ended = count + 1, self.start(run).ended()
        return count, ended

    def result(self, kind: str, run: Path, *, first: Ended, before: set[str]) -> Result:
        """Resume a run whose first process ended as `first` says, until it is done, and say what the fault came to."""
        resumes, last = self.resumed(run) if first.status else (0, first)
        left = self.engine.containers()
        if last.status:
            nothing = Difference(lost=CYCLES * CANDIDATES, repeated=0, other="never done", verified="never done")
            return Result(kind, resumes, nothing, len(left), 0, note=last.said[-400:])
        empty = lasting(before)  # before strays are ended, whose groups would be among them
        strays = self.engine.end_strays()
        lost = difference(run, self.undisturbed)
        found = Result(kind, resumes, lost, len(left), len(empty), strays)
        if found.survived:
            shutil.rmtree(run, ignore_errors=True)  # where it is mounted, its place stays
        return found


def groups() -> set[str]:
    """Return the names of the sandbox's control groups in which nothing runs."""
    return {name for driver in ("cgroupfs", "systemd") for name in empty_groups(driver)}


def lasting(before: set[str]) -> set[str]:
    """Return the groups that are there and were not `before`, but for those of neighbours, which pass."""
    found = groups() - before

    def still() -> set[str]:
        found.intersection_update(groups())
        return found

    patient = Retrying(
        retry=retry_if_result(bool),
        stop=stop_after_delay(PASSING),
        wait=wait_fixed(0.2),
        retry_error_callback=lambda state: found,
    )
    return patient(still)


@contextlib.contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """Start the engine and make the undisturbed run in `folder`; end the engine on the way out."""
    undisturbed, count = folder / "undisturbed", folder / "points"
    with own_engine(CACHE / "faults", image=config().sandbox.image) as engine:
        ended = Orchestrator(undisturbed, "--count", str(count), address=engine.address).ended()
        assert ended.status == 0, ended.said[-3000:]
        yield Bench(engine=engine, folder=folder, undisturbed=undisturbed, points=int(count.read_text()))
