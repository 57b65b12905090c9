"""What became of a candidate can be found, and nothing that it wrote acts on the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import main
from orchestrator.config import parse
from orchestrator.cycle import Loop
from orchestrator.fakes import FakeEvaluator, FakeGenerator, FakeTrainer, fake_parts
from orchestrator.run import RunFolder

DATA: dict[str, Any] = {
    "name": "test",
    "cycles": 1,
    "protocol": {"dataset": "fashion-mnist"},
    "prompt": {"task": "fashion-mnist"},
    "llm": {"model": {"source": "fake"}},
    "admission": {"threshold": 0.5},
    "budget": {"candidates": 20, "dynamic_from": None, "chunk": 8},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run = RunFolder.create(folder / "test", parse(DATA, origin="test"))
    evaluator = FakeEvaluator(run.store, protocol=run.config.protocol.hash())
    parts = fake_parts(run, generator=FakeGenerator(), evaluator=evaluator, trainer=FakeTrainer())
    Loop(run, parts).run()
    return folder


def orchestrate(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def listed(runs: Path, *filters: str) -> list[dict[str, Any]]:
    done = orchestrate("audit", "list", "test", "--runs", str(runs), "--jsonl", *filters)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_candidate_is_listed_with_exactly_one_state(runs: Path) -> None:
    summary = RunFolder.load(runs / "test").cycle(1).summary.read()[0]
    states = [line["state"] for line in listed(runs)]
    assert len(states) == 20
    assert {state: states.count(state) for state in set(states)} == summary.states


def test_filters_narrow_the_list(runs: Path) -> None:
    everything = listed(runs)
    assert listed(runs, "--state", "admitted") == [line for line in everything if line["state"] == "admitted"]
    assert listed(runs, "--stage", "forward") == [line for line in everything if line["stage"] == "forward"]
    assert listed(runs, "--cause", "TOLD") == [line for line in everything if line["cause"] == "told to"]
    assert listed(runs, "--cycle", "2") == []
    middle = listed(runs, "--min-accuracy", "0.3", "--max-accuracy", "0.7")
    assert middle == [line for line in everything if line["accuracy"] is not None and 0.3 <= line["accuracy"] <= 0.7]


def test_a_table_is_for_people(runs: Path) -> None:
    done = orchestrate("audit", "list", str(runs / "test"))
    assert done.exit_code == 0
    assert "c001-0000" in done.stdout


def test_a_program_is_shown_as_it_was_written(runs: Path) -> None:
    name = listed(runs, "--state", "admitted")[0]["candidate_id"]
    for extra in ((), ("--as-run",), ("--completion",)):
        done = orchestrate("audit", "show", "test", name, "--runs", str(runs), *extra)
        assert done.exit_code == 0
        assert "import torch" in done.stdout
        assert "admitted" in done.stdout


def test_a_log_is_shown_with_its_escape_sequences_written_out(runs: Path) -> None:
    name = listed(runs, "--state", "failed")[0]["candidate_id"]
    done = orchestrate("audit", "log", "test", name, "--runs", str(runs))
    assert done.exit_code == 0
    assert "\x1b" not in done.output
    assert r"Traceback \x1b[31mred\x1b[0m" in done.stdout


def test_an_unknown_candidate_or_run_is_bad_usage_and_named(runs: Path) -> None:
    done = orchestrate("audit", "show", "test", "c009-0000", "--runs", str(runs))
    assert (done.exit_code, "c009-0000" in done.stderr) == (2, True)
    done = orchestrate("report", "nothing", "--runs", str(runs))
    assert (done.exit_code, "holds no run" in done.stderr) == (2, True)


def test_a_report_is_a_table_or_data(runs: Path) -> None:
    done = orchestrate("report", "test", "--runs", str(runs))
    assert done.exit_code == 0
    assert "chance 10.0%" in done.stdout
    (line,) = orchestrate("report", "test", "--runs", str(runs), "--jsonl").stdout.splitlines()
    assert sum(json.loads(line)["states"].values()) == 20


def test_a_damaged_ledger_is_our_failure_and_named(runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy" / "cycle-001"
    folder.mkdir(parents=True)
    (tmp_path / "copy" / "config.json").write_bytes((runs / "test" / "config.json").read_bytes())
    (folder / "summary.jsonl").write_text("damage\n")
    done = orchestrate("report", str(tmp_path / "copy"))
    assert done.exit_code == 1
    assert "summary.jsonl, line 1" in done.stderr
    assert "Traceback" not in done.output
