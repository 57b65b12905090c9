"""How far a container warms up before its program comes changes when a verdict is there, and not what it says."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.evaluation import SandboxEvaluator, Submission, prepare
from orchestrator.machine import LOOK, Headroom
from orchestrator.records import Verdict
from tests.adversarial.suite import CACHE, CONTROL, FOLDER, config

pytestmark = pytest.mark.docker

PAUSE = 20.0  # seconds after which a container is too old; more than a start takes
PROGRAM = b"import sys\nprint('torch._dynamo' in sys.modules)\n" + (FOLDER / f"{CONTROL}.py").read_bytes()


class Fixed(Headroom):
    """A machine with so many idle cores, and so little memory the first few times that it is asked."""

    def __init__(self, *, cores: float = 0.0, short: int = 0, patience: float = 30.0) -> None:
        super().__init__(patience=patience)
        self.idle, self.short = cores, short
        self.looks = threading.Semaphore(0)
        self.starts = threading.Semaphore(0)

    def cores(self) -> float:
        self.looks.release()
        return self.idle

    def memory(self) -> int:
        self.short -= 1
        return 0 if self.short >= 0 else super().memory()

    def await_memory(self, closing: threading.Event) -> None:
        self.starts.release()
        super().await_memory(closing)

    def programs(self, waits: Sequence[int]) -> Iterator[Submission]:
        """Submit the program again and again, each time after so many more looks at the cores."""
        for number, looks in enumerate(waits):
            for _ in range(looks):
                self.looks.acquire()
            yield Submission(candidate_id=f"p{number}", source=PROGRAM)


def evaluate(folder: Path, ahead: str, headroom: Fixed, *, waits: Sequence[int] = (0,)) -> list[tuple[Verdict, bool]]:
    """Return the verdicts of the honest program, and whether it found what optimizers need imported."""
    settings = config("runc")
    settings = settings.model_copy(update={"sandbox": settings.sandbox.model_copy(update={"ahead": ahead, "slots": 1})})
    prepared = prepare(settings.protocol, CACHE)
    with SandboxEvaluator(config=settings, prepared=prepared, key=b"pool", headroom=headroom) as evaluator:
        done = list(evaluator.evaluate(headroom.programs(waits)))
    return [(one.verdict, one.objects[one.verdict.measured.stdout or ""] == b"True\n") for one in done]


def test_however_warm_the_container_is_the_verdict_is_the_same(tmp_path: Path) -> None:
    ended = {ahead: evaluate(tmp_path, ahead, Fixed())[0] for ahead in ("nothing", "import", "optimizers")}
    assert {ahead: warm for ahead, (_, warm) in ended.items()} == {
        "nothing": False,
        "import": False,
        "optimizers": True,
    }
    assert {verdict.state for verdict, _ in ended.values()} == {"passed"}
    assert len({(verdict.accuracy, verdict.predictions) for verdict, _ in ended.values()}) == 1


def test_a_waiting_container_uses_an_idle_core(tmp_path: Path) -> None:
    idle = evaluate(tmp_path / "idle", "idle", Fixed(cores=1.0), waits=(8, 64))
    busy = evaluate(tmp_path / "busy", "idle", Fixed(cores=0.0), waits=(8, 8))
    assert any(warm for _, warm in idle)
    assert not any(warm for _, warm in busy)


def test_a_container_that_grows_too_old_while_it_waits_is_replaced_before_it_is_claimed(tmp_path: Path) -> None:
    settings = config("runc")
    deadlines = settings.sandbox.deadlines
    short = deadlines.model_copy(update={"life": deadlines.claimed() + PAUSE})
    sandbox = settings.sandbox.model_copy(update={"ahead": "import", "slots": 1, "deadlines": short})
    settings = settings.model_copy(update={"sandbox": sandbox})
    unused: list[str] = []
    machine = Fixed()

    def record(event: str, data: Mapping[str, Any], *, durable: bool = True) -> None:
        if event == "container" and data["mode"] == "supervise":
            unused.append(data["container_id"])

    def program() -> Iterator[Submission]:
        for _ in range(2):  # its first container, and the one that replaces it
            assert machine.starts.acquire(timeout=10 * PAUSE)
        yield Submission(candidate_id="late", source=PROGRAM)

    prepared = prepare(settings.protocol, CACHE)
    with SandboxEvaluator(
        config=settings, prepared=prepared, key=b"pool", record=record, headroom=machine
    ) as evaluator:
        (evaluation,) = evaluator.evaluate(program())
    assert evaluation.verdict.state == "passed"
    used = [one.data["container_id"] for one in evaluation.events if one.event == "container"]
    assert used == [evaluation.verdict.measured.container_id]
    assert len(unused) > 1  # the first, and the one behind the claim
    assert not {*used} & {*unused}


def test_a_start_waits_for_memory_but_not_for_ever(tmp_path: Path) -> None:
    soon, never = Fixed(short=3), Fixed(short=1000, patience=2 * LOOK)
    for name, headroom in (("soon", soon), ("never", never)):
        ((verdict, _),) = evaluate(tmp_path / name, "import", headroom)
        assert verdict.state == "passed"
    assert soon.short < 0 < never.short
