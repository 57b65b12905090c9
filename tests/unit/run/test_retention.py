"""Sizes add up, and pruning drops output that a policy allows: journalled first, and nothing that is still needed."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import main
from orchestrator.errors import LedgerError
from orchestrator.records import Verdict
from orchestrator.run import RunFolder, provenance, run_lock
from orchestrator.run.chain import PLACES
from orchestrator.run.history import pruned, verdict_times
from orchestrator.run.retention import KINDS, OBJECTS, LogsOf, Policy, plan, prune, sizes
from orchestrator.run.verify import verify
from tests.support.recorded_run import recorded

NOW = datetime(2100, 1, 1, tzinfo=UTC)
FAILED, PASSED = "c001-0002", "c001-0003"


def test_every_object_that_a_record_may_refer_to_has_a_kind() -> None:
    fields = {place.rpartition(".")[2] for places in PLACES.values() for place in places}
    assert fields == set(OBJECTS)


def test_the_prompt_of_a_run_counts_as_one(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    prompt = run.store.put(b'[{"role":"user","content":"Design."}]')
    asked = provenance.gather(run.config, sandbox={}, dataset="0" * 64, seeds=(), prompt=prompt)
    provenance.record(RunFolder.create(run.path, run.config).provenance, asked)
    assert sizes(RunFolder.load(run.path))["prompts"].files == 1


def policy(logs_of: LogsOf = "failed", before: datetime = NOW) -> Policy:
    return Policy(logs_of=logs_of, before=before)


def verdicts(run: RunFolder) -> dict[str, Verdict]:
    return {verdict.candidate_id: verdict for verdict in run.cycle(1).verdicts.read()}


def replaced(run: RunFolder, name: str, log: bytes) -> RunFolder:
    """The same run, whose candidate `name` printed `log`."""
    changed = verdicts(run)
    measured = changed[name].measured.model_copy(update={"stderr": run.store.put(log)})
    changed[name] = changed[name].model_copy(update={"measured": measured})
    run.cycle(1).verdicts.path.unlink()
    again = RunFolder.load(run.path)
    again.cycle(1).verdicts.extend(list(changed.values()))
    return again


def orchestrate(run: RunFolder, command: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["audit", command, str(run.path), *arguments])


def test_every_byte_of_a_run_is_counted_once(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    (run.path / "cycle-001" / "adapter").mkdir()
    (run.path / "cycle-001" / "adapter" / "weights").write_bytes(bytes(1000))
    usage = sizes(run)
    files = [path for path in run.path.rglob("*") if path.is_file()]
    assert tuple(usage) == KINDS
    assert sum(one.files for one in usage.values()) == len(files)
    assert sum(one.bytes for one in usage.values()) == sum(path.stat().st_size for path in files)
    assert (usage["adapters"].files, usage["adapters"].bytes) == (1, 1000)
    assert usage["logs"].files == len({name for one in verdicts(run).values() for name in logs(one)})
    lines = json.loads(orchestrate(run, "sizes", "--jsonl").stdout)
    assert lines["logs"] == {"files": usage["logs"].files, "bytes": usage["logs"].bytes}
    assert "adapters" in orchestrate(run, "sizes").stdout


def logs(verdict: Verdict) -> list[str]:
    return [name for name in (verdict.measured.stdout, verdict.measured.stderr) if name is not None]


@pytest.mark.parametrize(("logs_of", "states"), [("failed", {False}), ("valid", {True}), ("all", {False, True})])
def test_a_policy_covers_the_output_of_its_candidates_only(tmp_path: Path, logs_of: LogsOf, states: set[bool]) -> None:
    run = recorded(tmp_path / "run")
    wanted = {name for one in verdicts(run).values() if (one.state == "passed") in states for name in logs(one)}
    assert set(plan(run, policy(logs_of), moments={}).dropped) == wanted


def test_output_goes_by_the_age_of_its_verdict_in_the_journal_or_else_of_its_ledger(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    ledger = run.cycle(1).verdicts.path
    old = NOW - timedelta(days=10)
    os.utime(ledger, (old.timestamp(), old.timestamp()))
    assert plan(run, policy(before=old), moments={}).dropped == {}
    everything = plan(run, policy(before=old + timedelta(seconds=1)), moments={}).dropped
    assert set(logs(verdicts(run)[FAILED])) < set(everything)
    younger = plan(run, policy(before=old + timedelta(seconds=1)), moments={FAILED: NOW}).dropped
    assert set(everything) - set(younger) == set(logs(verdicts(run)[FAILED]))


def copied(run: RunFolder, what: str) -> str:
    """The name of an object of the run that a candidate might print word for word."""
    candidate, verdict = run.cycle(1).candidates.read()[3], verdicts(run)[PASSED]
    assert candidate.program is not None
    found = {
        "its source": candidate.source,
        "the program that ran": candidate.program.runs,
        "predictions": verdict.predictions,
        "the environment": verdict.environment,
        "shingles of a seed": run.corpus.read()[0].shingles,
        "the output of a valid candidate": verdict.measured.stdout,
    }[what]
    assert found is not None
    return found


@pytest.mark.parametrize(
    "what",
    [
        "its source",
        "the program that ran",
        "predictions",
        "the environment",
        "shingles of a seed",
        "the output of a valid candidate",
    ],
)
def test_an_object_that_anything_else_refers_to_stays(tmp_path: Path, what: str) -> None:
    run = recorded(tmp_path / "run")
    needed = copied(run, what)
    found = plan(replaced(run, FAILED, run.store.get(needed)), policy(), moments={})
    assert needed not in found.dropped
    assert found.shared == {needed}
    assert len(found.dropped) == 3


def test_pruning_is_journalled_before_anything_goes_and_said_by_the_log(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    failed, passed = logs(verdicts(run)[FAILED]), logs(verdicts(run)[PASSED])
    dry = orchestrate(run, "prune", "--logs-of", "failed", "--older-than", "0h", "--dry-run")
    assert "would drop 4 captured outputs" in dry.stdout
    assert run.store.path(failed[0]).exists()
    assert "dropped 4" in orchestrate(run, "prune", "--logs-of", "failed", "--older-than", "0h").stdout
    assert not run.store.path(failed[0]).exists()
    assert run.store.path(passed[0]).exists()
    assert set(failed) <= set(pruned(run.path))
    shown = orchestrate(run, "log", FAILED)
    assert shown.exit_code == 0
    assert "pruned on 2" in shown.stderr
    assert failed[0] in shown.stderr
    assert "epoch 1" in orchestrate(run, "log", PASSED).stdout
    assert "dropped 0" in orchestrate(run, "prune", "--logs-of", "failed", "--older-than", "0h").stdout


def test_a_pruned_run_holds_against_its_journal_and_one_that_lost_a_log_does_not(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    kept = logs(verdicts(run)[PASSED])[0]
    assert orchestrate(run, "prune", "--logs-of", "failed", "--older-than", "0h").exit_code == 0
    assert verify(run.path)
    run.store.path(kept).unlink()
    with pytest.raises(LedgerError, match=kept):
        verify(run.path)


def test_what_was_journalled_and_not_yet_dropped_goes_the_next_time(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", recorded(tmp_path / "run").config)
    planned = plan(run, policy(), moments={})
    run.record("prune", {"objects": list(planned.dropped)})
    again = plan(run, policy(), moments={})
    assert again == planned
    prune(run, again, policy=policy())
    assert plan(run, policy(), moments={}).dropped == {}


def test_a_run_that_is_worked_on_is_not_pruned(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    with run_lock(run.path):
        done = orchestrate(run, "prune", "--logs-of", "failed", "--older-than", "0h")
    assert (done.exit_code, "is working on this run" in done.stderr) == (1, True)
    assert run.store.path(logs(verdicts(run)[FAILED])[0]).exists()


def test_young_output_stays_and_an_age_without_a_unit_is_refused(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    assert "dropped 0" in orchestrate(run, "prune", "--logs-of", "failed", "--older-than", "30d").stdout
    done = orchestrate(run, "prune", "--logs-of", "failed", "--older-than", "30")
    assert (done.exit_code, "12h, 30d or 8w" in done.stderr) == (2, True)


def test_verdicts_are_dated_by_the_journal(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    times = verdict_times(run.path)
    assert set(times) == set(verdicts(run))
    assert all(at.tzinfo is not None for at in times.values())
    with (run.path / "audit.jsonl").open("ab") as file:
        file.write(b'{"event":"verdict" torn')
    assert verdict_times(run.path) == times
    assert verdict_times(tmp_path) == {}
