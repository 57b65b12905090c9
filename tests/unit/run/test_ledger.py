"""Ledgers: what is whole stays, what is torn is said, what is damaged is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import InfrastructureError, LedgerError
from orchestrator.records import Candidate
from orchestrator.run import Ledger, run_lock


def candidate(index: int) -> Candidate:
    return Candidate(candidate_id=f"c001-{index:04d}", source=None)


def ledger(path: Path, said: list[str] | None = None) -> Ledger[Candidate]:
    return Ledger(path / "candidates.jsonl", Candidate, report=(said if said is not None else []).append)


def test_what_is_appended_is_read_back_in_order_by_another_reader(tmp_path: Path) -> None:
    writer = ledger(tmp_path)
    for index in range(3):
        writer.append(candidate(index))
    assert ledger(tmp_path).read() == (candidate(0), candidate(1), candidate(2)) == writer.read()
    assert not ledger(tmp_path).whole


def test_a_missing_file_is_an_empty_ledger_that_is_not_whole(tmp_path: Path) -> None:
    assert ledger(tmp_path).read() == ()
    assert not ledger(tmp_path).whole
    assert not (tmp_path / "candidates.jsonl").exists()


def test_a_whole_ledger_refuses_more_records_and_a_second_end(tmp_path: Path) -> None:
    writer = ledger(tmp_path)
    writer.append(candidate(0))
    writer.finish()
    for again in (writer, ledger(tmp_path)):
        assert again.whole
        with pytest.raises(LedgerError, match="never written again"):
            again.append(candidate(1))
        with pytest.raises(LedgerError, match="never written again"):
            again.finish()
        with pytest.raises(LedgerError, match="is whole"):
            again.keep(0, why="no")
    assert ledger(tmp_path).read() == (candidate(0),)


def test_every_line_states_its_schema_version(tmp_path: Path) -> None:
    writer = ledger(tmp_path)
    writer.append(candidate(0))
    writer.finish()
    lines = (tmp_path / "candidates.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert all('"schema_version":1' in line for line in lines)


def test_a_file_torn_at_any_byte_gives_its_whole_records_and_then_grows_to_the_same_file(tmp_path: Path) -> None:
    writer = ledger(tmp_path)
    writer.extend([candidate(index) for index in range(3)])
    writer.finish()
    file = tmp_path / "candidates.jsonl"
    content = file.read_bytes()
    for size in range(len(content)):
        file.write_bytes(content[:size])
        said: list[str] = []
        torn = ledger(tmp_path, said)
        present = len(torn.read())
        assert present == min(3, content[:size].count(b"\n"))
        assert bool(said) == (size > 0 and content[size - 1 : size] != b"\n")
        torn.extend([candidate(index) for index in range(present, 3)])
        torn.finish()
        assert file.read_bytes() == content


def test_reading_a_torn_ledger_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    ledger(tmp_path).append(candidate(0))
    file = tmp_path / "candidates.jsonl"
    torn = file.read_bytes() + b'{"half'
    file.write_bytes(torn)
    assert ledger(tmp_path).read() == (candidate(0),)
    assert file.read_bytes() == torn


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (b"not json\n", "line 2: not JSON"),
        (b"[1]\n", "line 2: not a record"),
        (b'{"kind":"candidate"}\n', "line 2: schema version None"),
        (b'{"kind":"candidate","schema_version":2}\n', "line 2: schema version 2; this program reads 1"),
        (b'{"kind":"candidate","schema_version":1}\n', "line 2: not a Candidate: candidate_id"),
        (b'{"kind":"verdict","schema_version":1,"candidate_id":"x","source":null}\n', "line 2: not a Candidate: kind"),
        (
            b'{"kind":"candidate","schema_version":1,"candidate_id":"x","source":null,"more":1}\n',
            "line 2: not a Candidate: more",
        ),
        (b'{"kind":"end","schema_version":1,"records":7}\n', "line 2: the end marker counts other than the 1 records"),
        (b'{"kind":"end","schema_version":1}\n', "line 2: a damaged end marker"),
        (b'{"kind":"end","schema_version":1,"records":1}\n\n', "line 3: stands after the end marker"),
        (b"\n", "line 2: not JSON"),
        (b"\x00\x00\n", "line 2: not JSON"),
        (b"\xff\n", "line 2: not JSON"),
    ],
)
def test_damage_names_the_file_and_the_line(tmp_path: Path, damage: bytes, said: str) -> None:
    ledger(tmp_path).append(candidate(0))
    with (tmp_path / "candidates.jsonl").open("ab") as file:
        file.write(damage)
    with pytest.raises(LedgerError, match=said) as raised:
        ledger(tmp_path).read()
    assert "candidates.jsonl" in str(raised.value)


def test_keeping_fewer_records_drops_the_rest_and_says_why(tmp_path: Path) -> None:
    said: list[str] = []
    writer = ledger(tmp_path, said)
    writer.extend([candidate(index) for index in range(4)])
    writer.keep(2, why="their chunk was torn")
    writer.append(candidate(9))
    assert ledger(tmp_path).read() == (candidate(0), candidate(1), candidate(9)) == writer.read()
    assert len(said) == 1
    assert "the last 2 records: their chunk was torn" in said[0]
    writer.keep(5, why="nothing to drop")
    assert len(said) == 1


def test_a_disk_that_refuses_is_our_failure_and_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"candidates\.jsonl"):
        ledger(tmp_path / "missing").append(candidate(0))


def test_a_second_process_is_refused_and_the_first_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from orchestrator.run.ledger import run_lock\n"
        "with run_lock(Path(sys.argv[1])):\n    print('in', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"in\n"
        with pytest.raises(InfrastructureError, match=f"pid {holder.pid} on {os.uname().nodename}"), run_lock(tmp_path):
            pass
        holder.kill()
    with run_lock(tmp_path):
        pass
