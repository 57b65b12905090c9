"""Verification: an untouched run holds, and any change to it is found and named."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orchestrator.config import Config
from orchestrator.errors import LedgerError, OrchestratorError
from orchestrator.loop.fakes import LABELS
from orchestrator.records import Verdict, canonical, digest
from orchestrator.run import Journal, RunFolder, provenance
from orchestrator.run.chain import JOURNAL
from orchestrator.run.regrade import Labels
from orchestrator.run.verify import head, verify
from tests.support.bench import Bench, broken_and_resumed, config

DATASET = digest(b"a data set")
CHANGES = 300


def labels(_: Config) -> Labels:
    return Labels(labels=np.zeros(LABELS, dtype=np.uint8), classes=10, dataset=DATASET)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return broken_and_resumed(tmp_path_factory.mktemp("verify") / "run")


@pytest.fixture
def run(whole: Bench, tmp_path: Path) -> Path:
    shutil.copytree(whole.folder, tmp_path / "run")
    return tmp_path / "run"


def rechained(run: Path, change: Callable[[Path], None]) -> None:
    """Change a run as somebody would who writes its journal anew: nothing but what is derived again can show it."""
    change(run)
    (run / JOURNAL).unlink()
    Journal(run).opening("resumed", {})
    Bench(run, RunFolder.load(run).config).run()


def protected(run: Path) -> list[Path]:
    return sorted(path for path in run.rglob("*") if path.is_file() and path.name not in {"lock", "key", "llm.log"})


def test_an_untouched_run_holds_and_every_count_is_told(run: Path) -> None:
    checks = {check.what: check for check in verify(run, labels=labels)}
    assert checks["verdicts"].count == 16
    states = [verdict.state for number in (1, 2) for verdict in RunFolder.load(run).cycle(number).verdicts.read()]
    assert checks["verdicts graded again from their predictions"].count == states.count("passed") > 4
    assert checks["decisions"].count == states.count("passed")
    assert checks["files of adapters"].count == 2
    assert all(checks[name].count > 10 for name in ("stored objects", "lines of ledgers", "references to objects"))


def test_every_single_changed_byte_is_found(run: Path) -> None:
    source = random.Random(4)  # noqa: S311 - a test's own choice
    files = protected(run)
    kinds = {path.suffix or "object" for path in files}
    assert kinds == {".jsonl", ".json", ".safetensors", "object"}
    changes = [source.choice(files) for _ in range(CHANGES)] + files
    for path in changes:
        content = path.read_bytes()
        position = source.randrange(len(content))
        changed = bytearray(content)
        changed[position] ^= source.randrange(1, 256)
        path.write_bytes(bytes(changed))
        with pytest.raises(OrchestratorError):
            verify(run, labels=labels)
        path.write_bytes(content)
    verify(run, labels=labels)


def test_every_removed_file_is_found(run: Path) -> None:
    for path in protected(run):
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(LedgerError, match=r"missing|not stored|has no"):
            verify(run, labels=labels)
        path.write_bytes(content)


def test_every_cut_at_any_byte_is_found(run: Path) -> None:
    source = random.Random(5)  # noqa: S311 - a test's own choice
    for path in protected(run):
        content = path.read_bytes()
        for size in {0, len(content) - 1, source.randrange(len(content))}:
            path.write_bytes(content[:size])
            with pytest.raises(OrchestratorError):
                verify(run, labels=labels)
        path.write_bytes(content)


def test_lines_that_were_swapped_removed_repeated_or_added_are_found_and_named(run: Path) -> None:
    for path in run.rglob("*.jsonl"):
        content = path.read_bytes()
        lines = content.splitlines(keepends=True)
        changes = {"repeated": [*lines, lines[-1]], "removed": lines[:-1], "added": [*lines, b'{"kind":"x"}\n']}
        changes["torn"] = [*lines, b'{"kind"']
        if len(lines) > 1:
            changes["swapped"] = [lines[1], lines[0], *lines[2:]]
            changes["first removed"] = lines[1:]
        for change in changes.values():
            path.write_bytes(b"".join(change))
            with pytest.raises(LedgerError, match=rf"{path.name}, line \d+"):
                verify(run, labels=labels)
        path.write_bytes(content)


def test_files_that_were_added_are_found(run: Path) -> None:
    for path, content in (
        (run / "objects" / "ab" / ("ab" + "0" * 62), b"content"),
        (run / "cycle-001" / "adapter" / "more.bin", b"content"),
        (run / "cycle-003" / "completions.jsonl", b"{}\n"),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        with pytest.raises(LedgerError, match=path.name):
            verify(run, labels=labels)
        path.unlink()


def test_what_a_kill_leaves_of_an_object_is_no_tampering(run: Path) -> None:
    (run / "objects" / "ab").mkdir(exist_ok=True)
    (run / "objects" / "ab" / ".part-123").write_bytes(b"half")
    verify(run, labels=labels)


def test_an_accuracy_that_its_predictions_are_not_worth_is_found_though_the_journal_was_written_anew(run: Path) -> None:
    def change(folder: Path) -> None:
        file = folder / "cycle-001" / "verdicts.jsonl"
        lines = file.read_bytes().splitlines()
        index, verdict = next(
            (index, verdict)
            for index, verdict in enumerate(Verdict.model_validate_json(line) for line in lines[:-1])
            if verdict.accuracy is not None and 0 < verdict.accuracy < 1
        )
        old = canonical(verdict.accuracy)
        for name in ("verdicts", "novelty", "entries", "summary"):
            path = folder / "cycle-001" / f"{name}.jsonl"
            path.write_bytes(path.read_bytes().replace(b":" + old, b":0.9999"))
        self_made = RunFolder.load(folder).cycle(1).verdicts.read()[index]
        assert self_made.accuracy == 0.9999

    rechained(run, change)
    with pytest.raises(LedgerError, match=r"verdicts\.jsonl, line \d+: .* its predictions are worth 0\.\d+"):
        verify(run, labels=labels)


def test_a_decision_that_its_numbers_do_not_make_is_found_though_the_journal_was_written_anew(run: Path) -> None:
    def change(folder: Path) -> None:
        path = folder / "cycle-002" / "novelty.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"below_threshold"', b'"surplus"', 1))

    assert b'"below_threshold"' in (run / "cycle-002" / "novelty.jsonl").read_bytes()
    rechained(run, change)
    with pytest.raises(LedgerError, match=r"novelty\.jsonl, line \d+: .* was surplus; its numbers make it below"):
        verify(run, labels=labels)


@pytest.mark.parametrize(("key", "counted"), [("generated", 8), ("fingerprinted", 0)])
def test_counts_that_do_not_add_up_are_found_though_the_journal_was_written_anew(
    run: Path, key: str, counted: int
) -> None:
    def change(folder: Path) -> None:
        path = folder / "cycle-002" / "summary.jsonl"
        old, new = (f'"{key}":{number}'.encode() for number in (counted, counted + 1))
        path.write_bytes(path.read_bytes().replace(old, new, 1))

    rechained(run, change)
    said = f"line 1: {key} is {counted + 1}; the ledgers make it {counted}"
    with pytest.raises(LedgerError, match=rf"summary\.jsonl, {said}"):
        verify(run, labels=labels)


@pytest.mark.parametrize("key", ["valid_rate", "accuracy_mean", "above_rate"])
def test_a_rate_that_the_ledgers_do_not_make_is_found_though_the_journal_was_written_anew(run: Path, key: str) -> None:
    def change(folder: Path) -> None:
        path = folder / "cycle-002" / "summary.jsonl"
        path.write_bytes(re.sub(rf'"{key}":[0-9.]+'.encode(), f'"{key}":0.987'.encode(), path.read_bytes()))

    rechained(run, change)
    with pytest.raises(LedgerError, match=rf"summary\.jsonl, line 1: {key} is 0\.987; the ledgers make it 0\.\d+"):
        verify(run, labels=labels)


def test_a_head_that_was_kept_elsewhere_shows_a_history_that_was_written_anew(run: Path) -> None:
    kept = head(run)
    verify(run, labels=labels, expected=kept.hash)
    Journal(run).record("prune", {"objects": []})
    verify(run, labels=labels, expected=kept.hash)
    rechained(run, lambda _: None)
    verify(run, labels=labels)
    with pytest.raises(LedgerError, match="cut off or rewritten"):
        verify(run, labels=labels, expected=kept.hash)


def test_a_log_that_was_pruned_is_accounted_for_and_nothing_else_is(run: Path) -> None:
    verdicts = RunFolder.load(run).cycle(1).verdicts.read()
    log = next(verdict.measured.stderr for verdict in verdicts if verdict.measured.stderr is not None)
    predictions = next(verdict.predictions for verdict in verdicts if verdict.predictions is not None)
    for name in (log, predictions):
        Journal(run).record("prune", {"objects": [name]})
    store = RunFolder.load(run).store
    store.path(log).unlink()
    (note,) = (check.note for check in verify(run, labels=labels) if "references" in check.what)
    assert "to pruned output" in note
    store.path(predictions).unlink()
    with pytest.raises(LedgerError, match=f"predictions {predictions} is not stored"):
        verify(run, labels=labels)


def test_a_run_whose_configuration_an_older_version_froze_is_read_and_holds(run: Path) -> None:
    def age(folder: Path) -> None:
        file = folder / "config.json"
        frozen = json.loads(file.read_bytes())
        frozen["novelty"]["retrieval"] = 0.6
        del frozen["corpus"]["pairs"]
        file.write_text(json.dumps(frozen, indent=1) + "\n")
        gathered = provenance.gather(RunFolder.load(folder).config, sandbox={}, dataset=DATASET, seeds=seeds)
        recorded = gathered.model_copy(update={"config": digest(canonical(frozen))})
        provenance.record(RunFolder.load(folder).provenance, recorded)

    seeds = RunFolder.load(run).corpus.read()
    rechained(run, age)
    assert {check.what: check for check in verify(run, labels=labels)}["verdicts"].count == 16
    longer = RunFolder.load(run).config.model_copy(update={"cycles": 3})
    Bench(run, longer).run()
    assert {check.what: check for check in verify(run, labels=labels)}["verdicts"].count == 24


def test_a_run_without_a_journal_is_said_to_have_none(run: Path) -> None:
    (run / JOURNAL).unlink()
    with pytest.raises(LedgerError, match="made before runs had a journal"):
        verify(run, labels=labels)


def test_without_labels_it_is_said_that_nothing_was_graded(run: Path) -> None:
    (check,) = (check for check in verify(run) if "graded again" in check.what)
    assert (check.count, check.note) == (0, "not done: without the data set's labels")


@pytest.mark.parametrize(
    ("predictions", "said"),
    [(b"\0\0" * (LABELS - 1), "1998 bytes of predictions"), (b"\x0a\0" * LABELS, "class 10 of 10")],
)
def test_predictions_that_do_not_fit_the_labels_cannot_be_graded(predictions: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        labels(config()).accuracy(predictions)
