"""What commands write with --out lies in no run."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from orchestrator.cli import main
from tests.support.recorded_run import recorded


def orchestrate(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_nothing_is_written_into_a_run(tmp_path: Path) -> None:
    run = recorded(tmp_path / "one", candidates=6).path
    before = set(run.rglob("*"))
    sql = "SELECT * FROM verdicts"
    ledger = str(run / "cycle-001" / "verdicts.jsonl")
    for arguments in (
        ("report", "one", "--out", str(run)),
        ("report", "one", "--out", str(run / "report")),
        ("audit", "query", "one", sql, "--format", "csv", "--out", ledger),
        ("corpus", "export", "one", "--out", str(run / "export")),
        ("adapter", "export", "one", "--cycle", "1", "--out", str(run / "export")),
    ):
        done = orchestrate(*arguments, "--runs", str(tmp_path))
        assert done.exit_code == 2
        assert f"lies in the run {run}" in " ".join(done.stderr.split())
    assert set(run.rglob("*")) == before
