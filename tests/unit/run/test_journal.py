"""The journal: what the ledgers say is in it, a kill anywhere is reconciled, and what was changed is refused."""

from __future__ import annotations

import resource
import shutil
import signal
import threading
from pathlib import Path

import pytest

from orchestrator.errors import InfrastructureError, LedgerError
from orchestrator.records import GENESIS, Candidate, Event, digest
from orchestrator.run import Journal, RunFolder
from orchestrator.run.chain import JOURNAL, added_up, compared, read_chain
from tests.support.bench import Bench, config


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("journal") / "run", config(cycles=1, budget={"candidates": 12}))
    bench.run()
    return bench


def events(folder: Path) -> list[Event]:
    found, torn = read_chain(folder / JOURNAL)
    assert torn == 0
    return found


def test_every_line_of_every_ledger_is_journalled_and_the_chain_holds(whole: Bench) -> None:
    found = events(whole.folder)
    account = added_up(found, path=whole.folder / JOURNAL)
    ledgers = [ledger.path for ledger in RunFolder.load(whole.folder).ledgers()]
    assert compared(whole.folder, ledgers, account) == []
    lines = sum(len(path.read_bytes().splitlines()) for path in ledgers if path.exists())
    assert lines == sum(len(noted) for noted in account.ledgers.values()) > 40
    assert found[0].event == "begun"
    assert found[0].previous == GENESIS
    assert found[0].data["config"] == digest((whole.folder / "config.json").read_bytes())
    assert found[-1].event == "finished"
    assert [event.index for event in found] == list(range(len(found)))


def test_a_verdict_is_found_by_its_candidate_with_its_state_and_its_objects(whole: Bench) -> None:
    verdicts = {event.data["candidate_id"]: event.data for event in events(whole.folder) if event.event == "verdict"}
    for record in RunFolder.load(whole.folder).cycle(1).verdicts.read():
        data = verdicts[record.candidate_id]
        assert data["state"] == record.state
        assert data.get("accuracy") == record.accuracy
        assert data["objects"].get("predictions") == record.predictions


def test_the_weights_are_journalled_by_the_digest_of_every_file(whole: Bench) -> None:
    (weights,) = (event.data for event in events(whole.folder) if event.event == "weights")
    file = whole.folder / "cycle-001" / "adapter" / "adapter_model.safetensors"
    assert weights == {"folder": "cycle-001/adapter", "files": {file.name: digest(file.read_bytes())}}


def killed_after(whole: Bench, target: Path, *, count: int, between: bool) -> Bench:
    """What a kill leaves after `count` events; `between` where the next line is in its ledger but not journalled."""
    shutil.copytree(whole.folder, target)
    lines = (whole.folder / JOURNAL).read_bytes().splitlines(keepends=True)
    found = events(whole.folder)
    (target / JOURNAL).write_bytes(b"".join(lines[:count]) + lines[count][: len(lines[count]) // 2])
    reached = added_up(found[: count + 1] if between else found[:count], path=target / JOURNAL)
    for path in whole.folder.rglob("*.jsonl"):
        if path.name == JOURNAL:
            continue
        name = path.relative_to(whole.folder).as_posix()
        kept = len(reached.ledgers.get(name, []))
        content = path.read_bytes().splitlines(keepends=True)
        torn = content[kept][:5] if between and kept < len(content) else b""
        (target / name).write_bytes(b"".join(content[:kept]) + torn)
    return Bench(target, whole.config)


@pytest.mark.parametrize("between", [False, True])
def test_a_kill_after_any_event_resumes_to_the_same_ledgers_and_a_whole_journal(
    whole: Bench, tmp_path: Path, *, between: bool
) -> None:
    total = len(events(whole.folder))
    for count in sorted({*range(0, total, 5), total - 1}):
        killed = killed_after(whole, tmp_path / f"{count}", count=count, between=between)
        killed.run()
        assert killed.ledgers() == whole.ledgers(), count
        found = events(killed.folder)
        account = added_up(found, path=killed.folder / JOURNAL)
        assert compared(killed.folder, [], account) == []
        assert [event.hash for event in found[:count]] == [event.hash for event in events(whole.folder)[:count]]
        assert any(event.event == "drop" and event.data["ledger"] == JOURNAL for event in found)
        assert any("audit.jsonl: dropped a torn last line" in text for text in killed.said)
        assert "resumed" in {event.event for event in found[count:]} or count == 0


def test_a_line_that_a_ledger_lost_or_changed_stops_a_resume_and_is_named(whole: Bench, tmp_path: Path) -> None:
    for name, change in (
        ("lost", lambda lines: lines[:-2]),
        ("swapped", lambda lines: [lines[1], lines[0], *lines[2:]]),
        ("changed", lambda lines: [lines[0].replace(b'"cycle":1', b'"cycle":2'), *lines[1:]]),
    ):
        bench = Bench(tmp_path / name, whole.config)
        shutil.copytree(whole.folder, bench.folder)
        file = bench.folder / "cycle-001" / "completions.jsonl"
        before = (bench.folder / JOURNAL).read_bytes()
        file.write_bytes(b"".join(change(file.read_bytes().splitlines(keepends=True))))
        with pytest.raises(LedgerError, match=rf"completions\.jsonl, line \d+: .*{JOURNAL}, line \d+"):
            bench.run()
        assert (bench.folder / JOURNAL).read_bytes() == before


def test_a_damaged_journal_stops_a_resume_and_the_line_is_named(whole: Bench, tmp_path: Path) -> None:
    lines = (whole.folder / JOURNAL).read_bytes().splitlines(keepends=True)
    for name, changed, said in (
        ("changed", [*lines[:4], lines[4].replace(b'"index":4', b'"index":5'), *lines[5:]], "line 5: was changed"),
        ("cut", [*lines[:4], *lines[5:]], "line 5: does not follow"),
        ("added", [*lines, b"{}\n"], f"line {len(lines) + 1}: not an event"),
        ("no number", [b'{"a":NaN}\n', *lines[1:]], "line 1: not an event"),
        ("no text", [lines[0].replace(b'"begun"', b'"\\ud800"'), *lines[1:]], "line 1: not an event"),
        ("spaced", [lines[0].replace(b":", b": ", 1), *lines[1:]], "line 1: was changed"),
    ):
        bench = Bench(tmp_path / name, whole.config)
        shutil.copytree(whole.folder, bench.folder)
        (bench.folder / JOURNAL).write_bytes(b"".join(changed))
        with pytest.raises(LedgerError, match=f"{JOURNAL}, {said}"):
            bench.run()


def test_a_changed_configuration_file_stops_a_resume(whole: Bench, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", whole.config)
    shutil.copytree(whole.folder, bench.folder)
    file = bench.folder / "config.json"
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(LedgerError, match=r"config\.json: was changed"):
        bench.run()


def test_more_cycles_are_announced_before_they_are_frozen(whole: Bench, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config(cycles=2, budget={"candidates": 12}))
    shutil.copytree(whole.folder, bench.folder)
    old = (bench.folder / "config.json").read_bytes()
    RunFolder.create(bench.folder, bench.config)
    frozen = (bench.folder / "config.json").read_bytes()
    resumed, announced = events(bench.folder)[-2:]
    assert (resumed.event, resumed.data["config"]) == ("resumed", digest(old))
    assert (announced.event, announced.data) == ("config", {"config": digest(frozen), "cycles": 2})
    (bench.folder / "config.json").write_bytes(old)  # a kill came between the two
    bench.run()
    assert (bench.folder / "config.json").read_bytes() == frozen
    assert events(bench.folder)[-1].data == {"cycles": 2}


def test_more_cycles_that_were_announced_only_are_taken_back_by_a_resume_without_them(
    whole: Bench, tmp_path: Path
) -> None:
    bench = Bench(tmp_path / "run", whole.config)
    shutil.copytree(whole.folder, bench.folder)
    frozen = (bench.folder / "config.json").read_bytes()
    Journal(bench.folder).record("config", {"config": digest(b"more cycles"), "cycles": 2})
    bench.run()
    assert added_up(events(bench.folder), path=bench.folder / JOURNAL).configs[-1] == digest(frozen)


def test_a_run_from_before_the_journal_is_read_as_it_is_and_gets_one_when_it_is_resumed(
    whole: Bench, tmp_path: Path
) -> None:
    bench = Bench(tmp_path / "run", whole.config)
    shutil.copytree(whole.folder, bench.folder)
    (bench.folder / JOURNAL).unlink()
    assert len(RunFolder.load(bench.folder).cycle(1).verdicts.read()) == 12
    assert not (bench.folder / JOURNAL).exists()
    bench.run()
    found = events(bench.folder)
    assert found[0].event == "resumed"
    lines = [event for event in found if "ledger" in event.data]
    assert lines
    assert all(event.data["reconciled"] for event in lines)
    assert [event.data["reconciled"] for event in found if event.event == "weights"] == [True]


def test_what_pauses_a_run_is_journalled(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config(cycles=1))
    with pytest.raises(InfrastructureError):
        bench.run(evaluator_breaks=3)
    last = events(bench.folder)[-1]
    assert (last.event, last.data) == ("paused", {"cause": "InfrastructureError: the fake evaluator breaks here"})
    bench.run()
    assert events(bench.folder)[-1].event == "finished"


def test_dropped_records_are_announced_before_they_go(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config(cycles=1))
    run = RunFolder.create(bench.folder, bench.config)
    folder = run.cycle(1)
    folder.path.mkdir()
    folder.candidates.extend([Candidate(candidate_id=f"c001-{index:04d}", source=None) for index in range(3)])
    whole_ledger = folder.candidates.path.read_bytes()
    folder.candidates.keep(1, why="no verdict")
    last = events(bench.folder)[-1]
    assert last.data == {"ledger": "cycle-001/candidates.jsonl", "kept": 1, "why": "no verdict"}
    folder.candidates.path.write_bytes(whole_ledger)  # a kill came between the two
    resumed = RunFolder.create(bench.folder, bench.config)
    assert [event.data.get("reconciled") for event in events(bench.folder)[-2:]] == [True, True]
    resumed.cycle(1).candidates.keep(1, why="no verdict")
    assert compared(bench.folder, [], added_up(events(bench.folder), path=bench.folder / JOURNAL)) == []


def test_threads_write_one_chain(tmp_path: Path) -> None:
    journal = Journal(tmp_path)

    def write(name: int) -> None:
        for number in range(50):
            journal.record("stage", {"thread": name, "number": number}, durable=False)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(events(tmp_path)) == 200
    assert Journal(tmp_path).head == journal.head


def test_a_disk_that_refuses_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.record("first", {})
    before = (tmp_path / JOURNAL).read_bytes()
    limit_file_size(len(before) + 50)
    try:
        with pytest.raises(InfrastructureError, match=r"audit\.jsonl: cannot be written: .*free space and resume"):
            journal.record("second", {"text": "long " * 50})
    finally:
        limit_file_size(None)
    assert (tmp_path / JOURNAL).read_bytes() == before
    journal.record("third", {})
    assert [event.event for event in events(tmp_path)] == ["first", "third"]


def limit_file_size(size: int | None) -> None:
    """Let this process write no file beyond `size` bytes: a write fails half-way, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN if size is not None else signal.SIG_DFL)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def test_a_disk_that_fills_up_anywhere_is_resumed_to_the_same_ledgers(whole: Bench, tmp_path: Path) -> None:
    largest = max(path.stat().st_size for path in whole.folder.rglob("*") if path.is_file())
    for size in range(500, largest, max(1, largest // 12)):
        bench = Bench(tmp_path / f"{size}", whole.config)
        limit_file_size(size)
        try:
            with pytest.raises(InfrastructureError, match=r"cannot be written: .*"):
                bench.run()
        finally:
            limit_file_size(None)
        bench.run()
        assert bench.ledgers() == whole.ledgers()
        assert not list(bench.folder.rglob("*.part*"))
        account = added_up(events(bench.folder), path=bench.folder / JOURNAL)
        assert compared(bench.folder, [], account) == []
