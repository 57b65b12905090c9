"""A run asks its engine in one session, from its first look at the machine to its last candidate."""

from __future__ import annotations

from pathlib import Path

import pytest

import orchestrator
from tests.support.checkout import CACHE
from tests.support.relay import relaying

pytestmark = pytest.mark.docker

DRAWN = {
    "llm.sampler": "corpus",
    "llm.finetune": False,
    "budget.candidates": 2,
    "budget.chunk": 2,
    "corpus.entries": 2,
    "sandbox.slots": 1,
}


def test_a_fresh_run_opens_one_session_and_a_finished_one_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = orchestrator.load("quickstart", DRAWN)
    with relaying(tmp_path, monkeypatch) as relay:
        summaries = orchestrator.run_cycles(config, runs=tmp_path / "runs", cache=CACHE)
        assert relay.sessions == 1
        assert orchestrator.run_cycles(config, runs=tmp_path / "runs", cache=CACHE) == summaries
        assert relay.sessions == 1
    assert sum(summaries[0].states.values()) == DRAWN["budget.candidates"]
