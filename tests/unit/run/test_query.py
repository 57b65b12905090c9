"""SQL answers from the ledgers of many runs, reaches nothing else, and its answers act on no terminal."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import main
from orchestrator.errors import ConfigError, LedgerError
from orchestrator.run import RunFolder
from orchestrator.run.query import Answer, opened_database
from orchestrator.run.views import LEDGERS, VIEWS
from tests.support.recorded_run import recorded


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    recorded(folder / "one", cycles=2)
    recorded(folder / "two", candidates=6)
    return folder


def asked(sql: str, *runs: Path) -> Answer:
    with opened_database({run.name: run for run in runs}) as database:
        return database.ask(sql)


def query(runs: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["audit", "query", *arguments, "--runs", str(runs)])


def test_states_add_up_as_they_do_in_the_summaries(runs: Path) -> None:
    found = asked("SELECT cycle, state, count(*) FROM candidates GROUP BY ALL", runs / "one").rows
    for folder in RunFolder.load(runs / "one").cycles():
        summary = folder.summary.read()[0]
        assert {state: count for cycle, state, count in found if cycle == folder.number} == summary.states


def test_every_record_of_every_run_has_its_row(runs: Path) -> None:
    both = (runs / "one", runs / "two")
    for view, counts in {"candidates": (24, 6), "verdicts": (24, 6), "cycles": (2, 1)}.items():
        found = asked(f"FROM {view} SELECT run, count(*) GROUP BY run ORDER BY run", *both)
        assert found.rows == [("one", counts[0]), ("two", counts[1])]
    entries = sum(len(folder.entries.read()) for folder in RunFolder.load(runs / "one").cycles())
    assert asked("SELECT count(*) FROM corpus WHERE cycle = 0", runs / "one").rows == [(3,)]
    assert asked("SELECT count(*) FROM corpus", runs / "one").rows == [(3 + entries,)]


def test_the_views_have_the_documented_columns_and_the_values_of_the_records(runs: Path) -> None:
    for view in VIEWS:
        found = asked(f"FROM {view.name}", runs / "one")
        assert found.columns == tuple(column.name for column in view.columns)
        assert all(column.meaning for column in view.columns)
        never = {"claimed_stage", "claimed_exception", "claimed_text", "training_cost"}
        for position, name in enumerate(found.columns):
            assert name in never or any(row[position] is not None for row in found.rows), name
    verdict = RunFolder.load(runs / "one").cycle(1).verdicts.read()[3]
    (row,) = asked(
        "SELECT train_seconds, limits['pids'], claimed_parameters, accuracy FROM verdicts"
        " WHERE candidate_id = 'c001-0003'",
        runs / "one",
    ).rows
    assert row == (30.0, "256", 123_456, verdict.accuracy)


def test_every_column_of_a_ledger_is_a_field_of_its_record(runs: Path) -> None:
    folder = RunFolder.load(runs / "one").cycle(1)
    for name, columns in LEDGERS.items():
        ledger = RunFolder.load(runs / "one").corpus if name == "corpus" else getattr(folder, name)
        assert set(columns) <= set(type(ledger.read()[0]).model_fields)


def test_a_run_that_has_only_begun_gives_empty_views(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    for ledger in run.path.rglob("*.jsonl"):
        ledger.unlink()
    for view in VIEWS:
        assert asked(f"FROM {view.name}", run.path).rows == []


def test_a_candidate_without_a_verdict_is_pending(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    for name in ("verdicts", "novelty", "candidates"):
        (run.path / "cycle-001" / f"{name}.jsonl").unlink()
    assert asked("SELECT DISTINCT state FROM candidates", run.path).rows == [("pending",)]


def test_a_torn_last_line_is_left_out_and_said(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    path = run.path / "cycle-001" / "verdicts.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + lines[4][:-20])
    said: list[str] = []
    with opened_database({"run": run.path}, report=said.append) as database:
        assert database.ask("SELECT count(*) FROM verdicts").rows == [(4,)]
    assert len(said) == 1
    assert "verdicts.jsonl: left out a torn last line" in said[0]
    path.write_bytes(lines[0][:-1])
    assert asked("SELECT count(*) FROM verdicts", run.path).rows == [(0,)]


@pytest.mark.parametrize("damage", [b'{"kind":"verdict"\n', b"\x00\x00\n", b'{"kind":"verdict","accuracy":"high"}\n'])
def test_other_damage_is_an_error_that_names_the_file(tmp_path: Path, damage: bytes) -> None:
    run = recorded(tmp_path / "run")
    path = run.path / "cycle-001" / "verdicts.jsonl"
    path.write_bytes(damage + path.read_bytes())
    with pytest.raises(LedgerError, match=r"verdicts\.jsonl, line 1"):
        asked("SELECT * FROM verdicts", run.path)


def test_a_misspelt_field_is_an_error_and_no_null(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    path = run.path / "cycle-001" / "verdicts.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"accuracy"', b'"acuracy"', 1))
    with pytest.raises(LedgerError, match=r"verdicts\.jsonl, line 1: not a Verdict"):
        asked("SELECT * FROM verdicts", run.path)


def test_a_folder_that_only_resembles_a_cycle_is_left_out_and_a_missing_cycle_is_named(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", cycles=3)
    shutil.copytree(run.path / "cycle-002", run.path / "cycle-002.bak")
    assert asked("SELECT count(*) FROM cycles", run.path).rows == [(3,)]
    shutil.rmtree(run.path / "cycle-002")
    with pytest.raises(LedgerError, match="has cycle 3 and lacks cycle 2: put its folder back"):
        asked("SELECT count(*) FROM cycles", run.path)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM read_json('{file}')",
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM parquet_scan('https://example.org/x.parquet')",
        "COPY (SELECT 1) TO '{file}'",
        "EXPORT DATABASE '{folder}/new'",
        "ATTACH '{folder}/new.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA enable_profiling",
        "DROP VIEW candidates",
        "DELETE FROM ledger_verdicts",
        "SELECT 1; SELECT 2",
        "SELECT * FROM run",
        "",
        "-- nothing",
    ],
)
def test_sql_reaches_no_file_no_extension_and_no_setting(runs: Path, sql: str) -> None:
    run = runs / "one"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="query:"):
        asked(sql.format(file=run / "config.json", folder=run), run)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_statement_that_ends_in_a_semicolon_or_a_comment_is_one_statement(runs: Path, tmp_path: Path) -> None:
    for sql in (
        "SELECT 1 AS x;",
        "SELECT 1 AS x -- one",
        "FROM (VALUES (1)) AS t(x)",
        "WITH a AS (SELECT 1 AS x) FROM a",
    ):
        assert asked(sql, runs / "one").rows == [(1,)]
        out = tmp_path / "x.parquet"
        assert query(runs, "one", sql, "--format", "parquet", "--out", str(out)).exit_code == 0
        assert duckdb.sql(f"FROM '{out}'").fetchall() == [(1,)]


def test_formats_carry_the_same_rows(runs: Path, tmp_path: Path) -> None:
    sql = "SELECT run, candidate_id, accuracy, text FROM candidates ORDER BY ALL"
    expected = asked(sql, runs / "one", runs / "two").rows
    lines = query(runs, "one", "two", sql, "--format", "json").stdout.splitlines()
    assert [tuple(json.loads(line).values()) for line in lines] == expected
    rows = list(csv.reader(io.StringIO(query(runs, "one", "two", sql, "--format", "csv").stdout)))
    assert rows[0] == ["run", "candidate_id", "accuracy", "text"]
    assert [(run, name, float(one) if one else None, text) for run, name, one, text in rows[1:]] == expected
    parquet = tmp_path / "rows.parquet"
    parquet.write_bytes(query(runs, "one", "two", sql, "--format", "parquet").stdout_bytes)
    assert duckdb.sql(f"FROM '{parquet}'").fetchall() == expected
    for kind in ("table", "csv", "json"):
        out = tmp_path / kind
        assert query(runs, "one", sql, "--format", kind, "--out", str(out)).stdout == ""
        printed = query(runs, "one", sql, "--format", kind).stdout
        assert (out.read_text(encoding="utf-8") == printed) == (kind != "table")
    assert "…" in query(runs, "one", sql).stdout
    assert "…" not in (tmp_path / "table").read_text(encoding="utf-8")


def test_csv_keeps_line_ends_within_a_value(runs: Path) -> None:
    out = query(runs, "one", "SELECT 'a' || chr(13) || 'b' || chr(10) || 'c' AS x, 'd,\"' AS y", "--format", "csv")
    assert list(csv.reader(io.StringIO(out.stdout_bytes.decode(), newline=""))) == [["x", "y"], ["a\rb\nc", 'd,"']]


def test_hostile_text_acts_on_no_terminal(runs: Path) -> None:
    sql = "SELECT chr(27) || '[31m' || chr(8238) || chr(10) AS \"bad\u202e\", 1e999::DOUBLE AS big, [chr(7)] AS list"
    table = query(runs, "one", sql).stdout
    assert all(char == "\n" or char.isprintable() for char in table)
    assert r"\x1b[31m\u202e\n" in table
    line = query(runs, "one", sql, "--format", "json").stdout
    assert line.isascii()
    assert all(char == "\n" or char.isprintable() for char in line)
    assert json.loads(line) == {"bad\u202e": "\x1b[31m\u202e\n", "big": None, "list": ["\x07"]}


def test_an_error_that_quotes_a_text_is_escaped(runs: Path) -> None:
    done = query(runs, "one", "SELECT (chr(27) || '[31m')::INTEGER")
    assert done.exit_code == 2
    assert "\x1b" not in done.output
    assert r"\x1b[31m" in done.stderr


def test_the_views_are_listed_and_bad_usage_says_what_is_missing(runs: Path) -> None:
    done = CliRunner().invoke(main, ["audit", "query", "--views"])
    assert done.exit_code == 0
    assert all(f"{view.name}: " in done.stdout for view in VIEWS)
    assert "name a run" in query(runs, "SELECT 1").stderr
    assert query(runs, "missing", "SELECT 1").exit_code == 2


def test_one_run_under_two_names_is_refused(runs: Path) -> None:
    done = query(runs, "one", str(runs / "one"), "SELECT count(*) FROM candidates")
    assert done.exit_code == 2
    assert f"one and {runs / 'one'} are the same run" in done.output


def test_json_refuses_two_columns_of_one_name(runs: Path) -> None:
    done = query(runs, "one", "SELECT 1 AS n, 2 AS n", "--format", "json")
    assert done.exit_code == 2
    assert "name each with AS" in done.output


def test_a_file_that_cannot_be_written_is_bad_usage(runs: Path, tmp_path: Path) -> None:
    for kind in ("csv", "parquet"):
        done = query(runs, "one", "SELECT 1", "--format", kind, "--out", str(tmp_path / "nowhere" / "rows"))
        assert done.exit_code == 2
        assert f"--out {tmp_path / 'nowhere' / 'rows'}: cannot be written" in done.output


def test_a_file_is_replaced_whole_and_what_is_no_file_is_written_to(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("of last week, and longer than what comes in its place")
    for _ in range(2):
        assert query(runs, "one", "SELECT 1 AS n", "--format", "csv", "--out", str(tmp_path / "rows")).exit_code == 0
        assert (tmp_path / "rows").read_text() == "n\n1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["rows"]
    assert query(runs, "one", "SELECT 1 AS n", "--out", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()


def test_a_run_that_is_named_twice_counts_once(runs: Path) -> None:
    done = query(runs, "one", "one", "SELECT run, count(*) AS n FROM candidates GROUP BY run", "--format", "csv")
    assert done.stdout.splitlines() == ["run,n", "one,24"]
