"""What became of a candidate can be found, and nothing that it wrote acts on the terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import orchestrator
from orchestrator.cli import main
from orchestrator.config import parse
from orchestrator.errors import ChangedWarning, ConfigError
from orchestrator.loop import Loop
from orchestrator.loop.fakes import FakeEvaluator, FakeGenerator, FakeTrainer, fake_parts
from orchestrator.records import digest
from orchestrator.run import RunFolder
from orchestrator.run.history import difference, history
from orchestrator.run.reading import contradiction
from tests.support.recorded_run import recorded

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
    evaluator = FakeEvaluator(protocol=run.config.protocol.hash())
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
    assert {(line["chance"], line["majority"]) for line in listed(runs)} == {(0.1, 0.1)}
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


def test_seconds_bound_and_order_the_list_and_a_limit_cuts_it(tmp_path: Path) -> None:
    recorded(tmp_path / "test", candidates=60)
    everything = listed(tmp_path)
    longest = listed(tmp_path, "--sort", "seconds", "--limit", "3", "--min-seconds", "30", "--max-seconds", "50")
    assert [line["state"] for line in longest] == ["timeout"] * 3
    assert [sum(line["measured"]["seconds"].values()) for line in longest] == [41.1] * 3
    accuracies = [line["accuracy"] for line in listed(tmp_path, "--sort", "accuracy")]
    valid = [one for one in accuracies if one is not None]
    assert valid == sorted(valid, reverse=True)
    assert accuracies == valid + [None] * (len(everything) - len(valid))
    assert [line["candidate_id"] for line in everything] == [f"c001-{index:04d}" for index in range(60)]


def test_verdicts_are_filtered_by_the_times_in_the_journal(tmp_path: Path) -> None:
    recorded(tmp_path / "test", candidates=6)
    assert len(listed(tmp_path, "--since", "2020-01-01")) == 6
    assert listed(tmp_path, "--until", "2020-01-01T12:00") == []
    assert all(line["at"].endswith("+00:00") for line in listed(tmp_path))
    (tmp_path / "test" / "audit.jsonl").unlink()
    assert {line["at"] for line in listed(tmp_path)} == {None}
    done = orchestrate("audit", "list", "test", "--runs", str(tmp_path), "--since", "2020-01-01")
    assert done.exit_code == 0
    assert "6 candidates are left out, whose verdicts no journal dates" in done.stderr


def test_a_candidate_is_shown_with_claims_beside_measurements_and_its_neighbours(tmp_path: Path) -> None:
    recorded(tmp_path / "test", candidates=12)
    shown = orchestrate("audit", "show", "test", "c001-0011", "--runs", str(tmp_path)).stdout
    for part in (
        "123,456",
        "64 batches, 4,096 images",
        f"7 layers, 9 operations, fingerprint {digest(b'graph 5')[:12]}",
        "functionally equal to │ seed-0000",
        "77.0000%",
        "exit code 0",
        "memory 4,096 MiB",
        "512 MiB",
        "47.50",
    ):
        assert part in shown
    assert "77.00% (chance 10.0%, majority class 10.0%)" in shown
    assert "seed-0000 │ 0.2500" in shown
    assert "--- seed-0000\n+++ c001-0011\n" in shown
    assert "--- c001-0003\n+++ c001-0011\n" in shown
    assert "more lines differ" in shown
    assert "+++" not in orchestrate("audit", "show", "test", "c001-0011", "--no-diff", "--runs", str(tmp_path)).stdout


def test_a_diff_is_escaped_and_compares_a_bounded_part_of_programs_that_are_slow_to_compare(tmp_path: Path) -> None:
    run = recorded(tmp_path / "test", candidates=12)
    bomb = "\n".join(f"{index % 97}\x1b[31m" for index in range(200_000)).encode()
    found = history(run, "c001-0011")
    assert found.candidate is not None
    hostile = replace(found, candidate=found.candidate.model_copy(update={"source": run.store.put(bomb)}))
    lines = difference(run, hostile, "c001-0003")
    assert 1000 < len(lines) < 1200
    assert difference(run, hostile, "nobody") == []


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


@pytest.mark.parametrize("short", ["c001-0007", "c1-7", "1-7", "7", "007"])
def test_a_candidate_has_short_names(runs: Path, short: str) -> None:
    assert history(RunFolder.load(runs / "test"), short).candidate_id == "c001-0007"


def test_a_short_name_that_fits_several_candidates_lists_them(tmp_path: Path) -> None:
    run = recorded(tmp_path / "two", cycles=2, candidates=12)
    with pytest.raises(ConfigError, match="3 could be c001-0003, c002-0003: write one of them"):
        history(run, "3")
    with pytest.raises(ConfigError, match="audit list two` names all 24, such as c001-0000"):
        history(run, "nobody")


def test_a_summary_comes_first_and_limits_come_last(tmp_path: Path) -> None:
    recorded(tmp_path / "test", candidates=12)
    lines = orchestrate("audit", "show", "test", "c001-0011", "--runs", str(tmp_path)).stdout.splitlines()
    assert [line.split()[0] for line in lines[:6]] == ["candidate", "state", "stage", "cause", "accuracy", "nearest"]
    assert lines[-1].startswith("limits")


@pytest.mark.parametrize("command", [("audit", "list"), ("audit", "show"), ("audit", "query"), ("report",)])
def test_a_reader_of_a_changed_ledger_is_warned_once_with_file_and_line(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    run = recorded(tmp_path / "test", candidates=12)
    path = run.cycle(1).verdicts.path
    path.write_bytes(path.read_bytes().replace(b'"accuracy":0.77', b'"accuracy":0.99', 1))
    rest = {"show": ("7",), "query": ("SELECT 1",)}.get(command[-1], ())
    done = orchestrate(*command, "test", *rest, "--runs", str(tmp_path))
    assert done.exit_code == 0
    assert done.stderr.count("warning: ") == 1
    assert "verdicts.jsonl, line " in done.stderr
    with pytest.warns(ChangedWarning, match=r"verdicts.jsonl, line \d+: was changed"):
        orchestrator.open_run(run.path)


def test_an_unchanged_run_warns_of_nothing_also_while_it_is_written(tmp_path: Path) -> None:
    run = recorded(tmp_path / "test", candidates=12)
    assert contradiction(run) is None
    journal = run.path / "audit.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-3]))
    assert contradiction(run) is None
    journal.unlink()
    assert contradiction(run) is None


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
