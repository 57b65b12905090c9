"""A real, small cycle: the real model, corpus, images and containers, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.support.checkout import CHECKOUT

pytestmark = [pytest.mark.docker, pytest.mark.llm]

SMALL = {
    "budget.candidates": 4,
    "budget.chunk": 2,
    "corpus.entries": 2,
    "llm.sft.accumulation": 1,
    "llm.sft.epochs": 10,
    "llm.decoding.max_new_tokens": 480,
}
LEDGERS = ("adapter", "completions", "candidates", "verdicts", "novelty", "entries", "summary")


def orchestrate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestrator", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=1500)


def small_cycle(runs: Path, name: str, **changes: int) -> subprocess.CompletedProcess[str]:
    overrides = [part for key, value in (SMALL | changes).items() for part in ("--set", f"{key}={value}")]
    return orchestrate("cycle", "--config", "configs/quickstart.yaml", "--run", name, "--runs", str(runs), *overrides)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of the same config and seed."""
    runs = tmp_path_factory.mktemp("runs")
    for name in ("first", "second"):
        done = small_cycle(runs, name)
        assert done.returncode == 0, done.stderr[-3000:]
    return runs


def lines(runs: Path, name: str, ledger: str) -> list[dict[str, Any]]:
    text = (runs / name / "cycle-001" / f"{ledger}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def unmeasured(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != "measured"} for record in records]


def test_the_counts_of_the_terminal_states_add_up_to_what_was_generated(runs: Path) -> None:
    summary, end = lines(runs, "first", "summary")
    assert summary["generated"] == SMALL["budget.candidates"]
    assert sum(summary["states"].values()) == summary["generated"]
    assert end["records"] == 1
    assert len(lines(runs, "first", "verdicts")) == summary["generated"] + 1


def test_some_of_what_the_model_wrote_is_valid(runs: Path) -> None:
    accuracies = [record["accuracy"] for record in lines(runs, "first", "verdicts")[:-1]]
    assert any(accuracy is not None for accuracy in accuracies)


def test_the_same_config_and_seed_give_the_same_ledgers_aside_from_what_was_measured(runs: Path) -> None:
    for ledger in LEDGERS:
        assert unmeasured(lines(runs, "first", ledger)) == unmeasured(lines(runs, "second", ledger)), ledger


def test_running_it_again_recomputes_nothing(runs: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        files = (path for path in (runs / "first").rglob("*") if path.is_file() and "lock" not in path.name)
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}

    before = state()
    done = small_cycle(runs, "first")
    assert done.returncode == 0, done.stderr[-3000:]
    assert state() == before


def test_no_container_is_left_behind(runs: Path) -> None:
    container_ids = {record["measured"]["container_id"] for record in lines(runs, "first", "verdicts")[:-1]}
    client = docker.from_env()
    alive = {container["Id"] for container in client.api.containers(all=True)}
    client.close()
    assert not alive & container_ids


def test_a_changed_config_is_refused_and_names_the_key(runs: Path) -> None:
    done = small_cycle(runs, "first", seed=99)
    assert done.returncode == 2
    assert "seed (0 -> 99)" in done.stderr
