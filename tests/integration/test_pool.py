"""How far a container warms up before its program comes changes when a verdict is there, and not what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.datasets import prepare
from orchestrator.evaluate import SandboxEvaluator
from orchestrator.headroom import LOOK, Headroom
from orchestrator.records import Verdict
from orchestrator.seams import Submission
from orchestrator.store import Store
from tests.adversarial.suite import CACHE, CONTROL, FOLDER, config

pytestmark = pytest.mark.docker

PROGRAM = b"import sys\nprint('torch._dynamo' in sys.modules)\n" + (FOLDER / f"{CONTROL}.py").read_bytes()


class Fixed(Headroom):
    """A machine with so many idle cores, and so little memory the first few times that it is asked."""

    def __init__(self, *, cores: float, short: int = 0, patience: float = 30.0) -> None:
        super().__init__(patience=patience)
        self.idle, self.short = cores, short

    def cores(self) -> float:
        return self.idle

    def memory(self) -> int:
        self.short -= 1
        return 0 if self.short >= 0 else super().memory()


def evaluate(
    folder: Path, ahead: str, *, headroom: Headroom | None = None, times: int = 1
) -> list[tuple[Verdict, str]]:
    """Return the verdicts of the honest program, and whether it found what optimizers need imported."""
    settings = config("runc")
    settings = settings.model_copy(update={"sandbox": settings.sandbox.model_copy(update={"ahead": ahead, "slots": 1})})
    store = Store(folder / ahead)
    prepared = prepare(settings.protocol, CACHE)
    submissions = [Submission(candidate_id=f"p{number}", source=PROGRAM) for number in range(times)]
    with SandboxEvaluator(config=settings, store=store, prepared=prepared, key=b"pool", headroom=headroom) as evaluator:
        verdicts = [evaluation.verdict for evaluation in evaluator.evaluate(submissions)]
    return [(verdict, store.get(verdict.measured.stdout or "").decode().strip()) for verdict in verdicts]


def test_however_warm_the_container_is_the_verdict_is_the_same(tmp_path: Path) -> None:
    ended = {ahead: evaluate(tmp_path, ahead)[0] for ahead in ("nothing", "import", "optimizers")}
    assert {ahead: warm for ahead, (_, warm) in ended.items()} == {
        "nothing": "False",
        "import": "False",
        "optimizers": "True",
    }
    assert {verdict.state for verdict, _ in ended.values()} == {"passed"}
    assert len({(verdict.accuracy, verdict.predictions) for verdict, _ in ended.values()}) == 1


def test_a_waiting_container_uses_an_idle_core(tmp_path: Path) -> None:
    idle = evaluate(tmp_path / "idle", "idle", headroom=Fixed(cores=1.0), times=4)
    busy = evaluate(tmp_path / "busy", "idle", headroom=Fixed(cores=0.0), times=4)
    assert "True" in {warm for _, warm in idle}
    assert {warm for _, warm in busy} == {"False"}


def test_a_start_waits_for_memory_but_not_for_ever(tmp_path: Path) -> None:
    soon, never = Fixed(cores=0.0, short=3), Fixed(cores=0.0, short=1000, patience=2 * LOOK)
    for name, headroom in (("soon", soon), ("never", never)):
        ((verdict, _),) = evaluate(tmp_path / name, "import", headroom=headroom)
        assert verdict.state == "passed"
    assert soon.short < 0 < never.short
