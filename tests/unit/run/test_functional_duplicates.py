"""Which programs compute what an earlier one does is found by their fingerprints, for people and for SQL alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.records import CycleSummary, Entry, Novelty, Verdict, canonical, digest
from orchestrator.run import Ledger, RunFolder
from orchestrator.run.functional_duplicates import Functional, counted, twins
from orchestrator.run.provenance import corpus_hash
from orchestrator.run.query import opened_database
from tests.support.recorded_run import recorded


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.load(recorded(tmp_path / "run", cycles=2).path)


def rewritten(path: Path, change: str, value: object) -> None:
    """Set a field of every record in a ledger; None takes it away."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    for line in lines:
        place = line.get("claimed", line)
        place.pop(change, None)
        if value is not None and line["kind"] != "end":
            place[change] = value
    path.write_bytes(b"".join(canonical(line) + b"\n" for line in lines))


def test_the_first_valid_program_or_seed_with_a_fingerprint_is_the_twin_of_all_later_ones(run: RunFolder) -> None:
    found = twins(run)
    assert found.earlier == {
        "c001-0005": "seed-0000",
        "c001-0009": "c001-0003",
        "c001-0011": "seed-0000",
        "c002-0003": "c001-0003",
        "c002-0005": "seed-0000",
        "c002-0009": "c001-0003",
        "c002-0011": "seed-0000",
    }
    assert found.known == found.earlier.keys() | {"c001-0003"}
    assert twins(run, until=1).known == {"c001-0003", "c001-0005", "c001-0009", "c001-0011"}


def test_sql_names_the_same_twins(run: RunFolder) -> None:
    with opened_database({"run": run.path}) as database:
        sql = "SELECT candidate_id, functional_twin FROM candidates WHERE functional_twin IS NOT NULL"
        assert dict(database.ask(sql).rows) == twins(run).earlier


def test_a_program_that_failed_is_nobodys_twin(run: RunFolder) -> None:
    rewritten(run.cycle(1).verdicts.path, "fingerprint", digest(b"graph 3"))
    found = twins(RunFolder.load(run.path), until=1)
    assert found.known == {"c001-0003", "c001-0005", "c001-0009", "c001-0011"}
    assert set(found.earlier.values()) == {"c001-0003"}


def test_admitted_programs_that_equal_an_earlier_one_are_counted(run: RunFolder) -> None:
    assert counted(run, 1) == Functional(duplicates=1, fingerprinted=1)
    summary = run.cycle(1).summary.read()[0]
    assert (summary.admitted, summary.functional_duplicates, summary.fingerprinted) == (1, 1, 1)


def test_where_no_fingerprint_is_known_nothing_is_counted(run: RunFolder) -> None:
    rewritten(run.cycle(1).verdicts.path, "fingerprint", None)
    assert counted(RunFolder.load(run.path), 1) == Functional(duplicates=None, fingerprinted=0)


def test_a_textual_duplicate_that_was_admitted_without_the_filter_is_no_functional_one(run: RunFolder) -> None:
    near = {"entry_id": "seed-0000", "estimate": 0.95, "exact": 0.95}
    rewritten(run.cycle(1).novelty.path, "train", near)
    assert counted(RunFolder.load(run.path), 1) == Functional(duplicates=0, fingerprinted=0)


def test_ledgers_from_before_there_were_fingerprints_are_read(run: RunFolder) -> None:
    folder = run.cycle(1)
    for name in ("fingerprint", "layers", "operations"):
        rewritten(folder.verdicts.path, name, None)
    for name in ("functional_duplicates", "fingerprinted"):
        rewritten(folder.summary.path, name, None)
    assert {verdict.claimed.fingerprint for verdict in Ledger(folder.verdicts.path, Verdict).read()} == {None}
    assert Ledger(folder.summary.path, CycleSummary).read()[0].functional_duplicates is None
    assert Ledger(folder.novelty.path, Novelty).read()
    with opened_database({"run": run.path}) as database:
        assert database.ask("SELECT functional_duplicates FROM cycles WHERE cycle = 1").rows == [(None,)]


def test_a_corpus_without_fingerprints_keeps_the_digest_that_it_had_before_there_were_any(run: RunFolder) -> None:
    entries = [entry.model_copy(update={"fingerprint": None}) for entry in run.corpus.read()]
    plain = [
        {name: value for name, value in entry.model_dump(mode="json").items() if name != "fingerprint"}
        for entry in entries
    ]
    assert "fingerprint" not in entries[0].model_dump()
    assert corpus_hash(entries) == digest(canonical(plain))
    known = run.corpus.read()[0]
    assert Entry.model_validate_json(known.model_dump_json()) == known
