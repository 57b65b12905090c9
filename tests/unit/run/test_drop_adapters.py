"""Adapters of finished cycles may go: the run goes on and is verified without them, unless a later cycle needs one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli import main
from orchestrator.errors import ConfigError, InfrastructureError, LedgerError
from orchestrator.report.export.adapter import adapter_of, copy
from orchestrator.run import RunFolder, run_lock
from orchestrator.run.retention import drop_adapters, sizes, spent
from orchestrator.run.verify import verify
from tests.support.bench import Bench, config

SMALL = {"candidates": 8, "chunk": 4}


def bench(folder: Path, *, cycles: int, **llm: bool) -> Bench:
    return Bench(folder, config(cycles=cycles, budget=SMALL, llm={"model": {"source": "fake"}} | llm))


def prune(folder: Path, *arguments: str) -> str:
    done = CliRunner().invoke(main, ["audit", "prune-adapters", str(folder), *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def adapters(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("cycle-*/adapter"))


def test_a_run_without_its_adapters_holds_goes_on_elsewhere_and_comes_to_the_same(tmp_path: Path) -> None:
    whole = bench(tmp_path / "whole", cycles=3)
    whole.run()
    part = bench(tmp_path / "part", cycles=2)
    part.run()
    assert prune(part.folder, "--dry-run") == "would drop cycle-001/adapter, cycle-002/adapter\n"
    assert adapters(part.folder) == ["cycle-001", "cycle-002"]
    assert prune(part.folder).startswith("adapters dropped: 2, of ")
    assert adapters(part.folder) == []
    assert sizes(RunFolder.load(part.folder))["adapters"].files == 0
    notes = {check.what: check.note for check in verify(part.folder)}
    assert notes["files of adapters"] == "2 adapters were dropped, as announced"

    shutil.copytree(part.folder, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("lock", "llm.log"))
    more = bench(tmp_path / "elsewhere", cycles=3)
    more.run()
    assert more.ledgers() == whole.ledgers()
    assert verify(more.folder)
    assert prune(more.folder).startswith("adapters dropped: 1, of ")


def test_a_run_whose_journal_is_lost_gets_another_without_its_adapters(tmp_path: Path) -> None:
    run = bench(tmp_path / "run", cycles=2)
    run.run()
    prune(run.folder)
    (run.folder / "audit.jsonl").unlink()
    bench(tmp_path / "run", cycles=2).run()
    notes = {check.what: check.note for check in verify(run.folder)}
    assert notes["files of adapters"] == "2 adapters were dropped, as announced"
    foreign = run.folder / "cycle-001" / "adapter" / "adapter_model.safetensors"
    foreign.parent.mkdir()
    foreign.touch()
    with pytest.raises(LedgerError, match="was added"):
        verify(run.folder)


@pytest.mark.parametrize(
    ("llm", "kept"), [({"iterate": False}, ["cycle-001"]), ({"continue_adapter": True}, ["cycle-002"])]
)
def test_an_adapter_that_a_later_cycle_needs_stays_until_the_run_is_finished(
    tmp_path: Path, llm: dict[str, bool], kept: list[str]
) -> None:
    broken = bench(tmp_path / "run", cycles=3, **llm)
    with pytest.raises(InfrastructureError):
        broken.run(generator_breaks=18)
    prune(broken.folder)
    assert set(kept) <= set(adapters(broken.folder))
    broken.run()
    prune(broken.folder)
    assert adapters(broken.folder) == []


def test_a_longer_run_that_needs_a_dropped_adapter_says_which(tmp_path: Path) -> None:
    first = bench(tmp_path / "run", cycles=1, iterate=False)
    first.run()
    prune(first.folder)
    with pytest.raises(ConfigError, match=r"cycle-001/adapter: is needed and is gone"):
        bench(tmp_path / "run", cycles=2, iterate=False).run()


def test_a_kill_between_the_record_and_the_removal_is_made_good_by_the_next_time(tmp_path: Path) -> None:
    whole = bench(tmp_path / "run", cycles=1)
    whole.run()
    with run_lock(whole.folder):
        run = RunFolder.create(whole.folder, whole.config)
        run.record("prune", {"adapters": ["cycle-001/adapter"]})
    verify(whole.folder)
    next((whole.folder / "cycle-001" / "adapter").iterdir()).write_bytes(b"changed")
    with pytest.raises(LedgerError, match="was changed since"):
        verify(whole.folder)
    prune(whole.folder)
    verify(whole.folder)


def test_no_dropped_adapter_is_exported(tmp_path: Path) -> None:
    whole = bench(tmp_path / "run", cycles=1)
    whole.run()
    with run_lock(whole.folder):
        run = RunFolder.create(whole.folder, whole.config)
        drop_adapters(run, spent(run))
    folder, adapter = adapter_of(run, 1)
    with pytest.raises(ConfigError, match="was dropped by `orchestrate audit prune-adapters`"):
        copy(run, folder, adapter, tmp_path / "out")
