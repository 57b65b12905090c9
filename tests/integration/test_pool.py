"""How far a container warms up before its program comes changes when a verdict is there, and not what it says."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from orchestrator.datasets import prepare
from orchestrator.evaluate import SandboxEvaluator
from orchestrator.headroom import Headroom
from orchestrator.pool import IMPORTED, LOOK
from orchestrator.records import Verdict
from orchestrator.seams import Submission
from orchestrator.store import Store
from tests.adversarial.suite import CACHE, CONTROL, FOLDER, config

pytestmark = pytest.mark.docker

PROGRAM = b"import sys\nprint('torch._dynamo' in sys.modules)\n" + (FOLDER / f"{CONTROL}.py").read_bytes()


def evaluate(folder: Path, ahead: str, *, wait: float = 0.0) -> tuple[Verdict, str]:
    """Return the verdict of the honest program, and whether it found what optimizers need imported."""
    settings = config("runc")
    settings = settings.model_copy(update={"sandbox": settings.sandbox.model_copy(update={"ahead": ahead, "slots": 1})})
    store = Store(folder / ahead)
    prepared = prepare(settings.protocol, CACHE)
    with SandboxEvaluator(config=settings, store=store, prepared=prepared, key=b"pool") as evaluator:
        time.sleep(wait)
        (evaluation,) = evaluator.evaluate([Submission(candidate_id="one", source=PROGRAM)])
    return evaluation.verdict, store.get(evaluation.verdict.measured.stdout or "").decode().strip()


def test_however_warm_the_container_is_the_verdict_is_the_same(tmp_path: Path) -> None:
    ended = {ahead: evaluate(tmp_path, ahead) for ahead in ("nothing", "import", "optimizers")}
    assert {ahead: warm for ahead, (_, warm) in ended.items()} == {
        "nothing": "False",
        "import": "False",
        "optimizers": "True",
    }
    assert {verdict.state for verdict, _ in ended.values()} == {"passed"}
    assert len({(verdict.accuracy, verdict.predictions) for verdict, _ in ended.values()}) == 1


def test_a_waiting_container_uses_an_idle_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Headroom, "cores", lambda _: 1.0)
    assert evaluate(tmp_path, "idle", wait=20 * LOOK)[1] == "True"
    monkeypatch.setattr(Headroom, "cores", lambda _: 0.0)
    assert evaluate(tmp_path / "busy", "idle", wait=20 * LOOK)[1] == "False"


def test_a_start_waits_for_memory_but_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [0, 0, 0]
    monkeypatch.setattr(Headroom, "memory", lambda _: free.pop() if free else IMPORTED)
    verdict, _ = evaluate(tmp_path, "import")
    assert (verdict.state, free) == ("passed", [])
    monkeypatch.setattr("orchestrator.pool.PATIENCE", 2 * LOOK)
    monkeypatch.setattr(Headroom, "memory", lambda _: 0)
    assert evaluate(tmp_path / "short", "import")[0].state == "passed"
