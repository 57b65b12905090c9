"""The folder of a run: a cycle is a folder in it, a stage is a file in that, and the configuration is frozen."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.config import Config, dump, flat, parse
from orchestrator.errors import ConfigError, InfrastructureError, LedgerError
from orchestrator.progress import Report, silent
from orchestrator.records import (
    Adapter,
    Candidate,
    Completion,
    CycleSummary,
    Entry,
    Evaluation,
    Novelty,
    Provenance,
    Verdict,
    canonical,
    digest,
)
from orchestrator.records.journal import Recorder, unrecorded
from orchestrator.run.adapter_files import digests
from orchestrator.run.disk import write
from orchestrator.run.journal import Journal
from orchestrator.run.ledger import Ledger, Witness, run_lock
from orchestrator.run.store import Store

SHOWN_KEYS = 5
EVALUATED = frozenset({"container", "stage", "retry", "quarantine"})  # what may happen in an evaluation
RETIRED = (("novelty", "retrieval"),)  # keys that older versions froze, and that changed no decision


class CycleFolder:
    """The ledgers of one cycle, in the order in which they are written."""

    def __init__(self, path: Path, number: int, *, report: Report = silent, witness: Witness | None = None) -> None:
        self.path = path
        self.number = number
        self.adapter = Ledger(path / "adapter.jsonl", Adapter, report=report, witness=witness)
        self.completions = Ledger(path / "completions.jsonl", Completion, report=report, witness=witness)
        self.candidates = Ledger(path / "candidates.jsonl", Candidate, report=report, witness=witness)
        self.verdicts = Ledger(path / "verdicts.jsonl", Verdict, report=report, witness=witness)
        self.novelty = Ledger(path / "novelty.jsonl", Novelty, report=report, witness=witness)
        self.entries = Ledger(path / "entries.jsonl", Entry, report=report, witness=witness)
        self.summary = Ledger(path / "summary.jsonl", CycleSummary, report=report, witness=witness)

    @property
    def ledgers(self) -> tuple[Ledger[Any], ...]:
        """Every ledger of the cycle."""
        return (
            self.adapter,
            self.completions,
            self.candidates,
            self.verdicts,
            self.novelty,
            self.entries,
            self.summary,
        )

    @property
    def weights(self) -> Path:
        """The folder of this cycle's adapter in PEFT's own format."""
        return self.path / "adapter"

    @property
    def weights_name(self) -> str:
        """How the run's journal calls that folder."""
        return f"{self.path.name}/{self.weights.name}"


class RunFolder:
    """Everything that one run has written, under `path`; a run that is only read has no open journal."""

    def __init__(self, path: Path, config: Config, *, report: Report = silent, journal: Journal | None = None) -> None:
        self.path = path
        self.config = config
        self.journal = journal
        self._report = report
        self.store = Store(path / "objects")
        self.corpus = Ledger(path / "corpus.jsonl", Entry, report=report, witness=journal)
        self.provenance = Ledger(path / "provenance.jsonl", Provenance, report=report, witness=journal)

    @classmethod
    def create(cls, path: Path, config: Config, *, report: Report = silent) -> RunFolder:
        """Freeze `config` in a new folder, or continue one that froze the same; only `cycles` may differ.

        What a kill kept out of the run's journal is journalled now. Hold the run's lock.

        Raises:
            ConfigError: the folder was frozen with another configuration; the message names the first keys.
            LedgerError: a ledger, the journal or config.json was damaged; the message names file and line.
        """
        path.mkdir(parents=True, exist_ok=True)
        file = path / "config.json"
        if not file.exists():
            write(file, _frozen(dump(config)), partial=file.with_suffix(".part"))
            return cls._opened(path, config, report=report)
        frozen = _read_config(file)
        _refuse_change(frozen, config, path)
        run = cls._opened(path, config, report=report)
        if config.cycles > frozen.cycles:
            content = _frozen(json.loads(file.read_bytes()) | {"cycles": config.cycles})  # its other keys stay
            run.record("config", {"config": digest(content), "cycles": config.cycles})
            write(file, content, partial=file.with_suffix(".part"))
        return run

    @classmethod
    def _opened(cls, path: Path, config: Config, *, report: Report) -> RunFolder:
        journal = Journal(path, report=report)
        run = cls(path, config, report=report, journal=journal)
        seen = digest((path / "config.json").read_bytes())
        known = journal.account.configs[-2:]  # a kill may have come between announcing more cycles and freezing them
        if known and seen not in known:
            raise LedgerError(f"{path / 'config.json'}: was changed since {journal.path} recorded it")
        begun = journal.empty and not any(ledger.path.exists() for ledger in run.ledgers())
        journal.opening(
            "begun" if begun else "resumed",
            {"config": seen, "config_hash": config.hash(), "pid": os.getpid(), "host": socket.gethostname()},
        )
        if known and seen != known[-1]:
            journal.record("config", {"config": seen, "cycles": _read_config(path / "config.json").cycles})
        missed = journal.reconcile(ledger.path for ledger in run.ledgers())
        if missed:
            report(f"{journal.path}: recorded {missed} lines that a kill had kept out of it")
        for folder in run.cycles():
            if folder.adapter.read() and not journal.account.knows_weights(folder.weights_name):
                if folder.weights.is_dir():
                    run.record_weights(folder, reconciled=True)
                else:  # dropped before, and told to a journal that is lost
                    run.record("prune", {"adapters": [folder.weights_name], "reconciled": True})
        return run

    @classmethod
    def load(cls, path: Path, *, report: Report = silent) -> RunFolder:
        """Open a run to read it.

        Raises:
            ConfigError: `path` holds no run.
        """
        file = path / "config.json"
        if not file.is_file():
            raise ConfigError(f"{path}: holds no run (no config.json); name a folder that `orchestrate cycle` made")
        return cls(path, _read_config(file), report=report)

    @contextmanager
    def held(self, *, report: Report = silent) -> Iterator[RunFolder]:
        """Lend this run for writing, with its journal, under the run's lock.

        Raises:
            InfrastructureError: another process works on it.
            LedgerError: a ledger is damaged.
        """
        with run_lock(self.path):
            yield RunFolder.create(self.path, self.config, report=report)

    @property
    def name(self) -> str:
        """What the run is called: its folder's name, whatever its configuration is called."""
        return self.path.resolve().name

    @property
    def record(self) -> Recorder:
        """What takes an event into the journal; into nothing if the run is only read."""
        return unrecorded if self.journal is None else self.journal.record

    def keep(self, evaluation: Evaluation) -> None:
        """Store the objects of an evaluation and journal its events; its ledger lines come after.

        Raises:
            InfrastructureError: the disk refused, or the evaluation holds what no evaluator may hand in.
        """
        who = evaluation.candidate.candidate_id
        if strange := {one.event for one in evaluation.events} - EVALUATED:
            raise InfrastructureError(f"{who}: came with events of no evaluation: {', '.join(sorted(strange))}")
        for name, content in evaluation.objects.items():
            if digest(content) != name:
                raise InfrastructureError(f"{who}: came with an object that is not {name}")
            self.store.put(content)
        if self.journal is not None:
            self.journal.record_all(evaluation.events)

    def record_weights(self, folder: CycleFolder, *, reconciled: bool = False) -> None:
        """Make the adapter of `folder` durable, and record the digest of every file of it."""
        data = {"folder": folder.weights_name, "files": digests(folder.weights, durable=True)}
        self.record("weights", data | ({"reconciled": True} if reconciled else {}))

    def ledgers(self) -> Iterator[Ledger[Any]]:
        """Yield every ledger of the run, whether or not it has been written."""
        yield from (self.corpus, self.provenance)
        for folder in self.cycles():
            yield from folder.ledgers

    def cycle(self, number: int) -> CycleFolder:
        """Return cycle `number`, counted from 1; its folder is made when it is first written."""
        path = self.path / _cycle_name(number)
        return CycleFolder(path, number, report=self._report, witness=self.journal)

    def cycles(self) -> Iterator[CycleFolder]:
        """Yield the cycles that have begun, in order.

        Raises:
            LedgerError: one is missing among them.
        """
        found = sorted(int(path.name.removeprefix("cycle-")) for path in self.path.glob("cycle-*") if _is_cycle(path))
        for number, there in enumerate(found, start=1):
            if number != there:
                raise LedgerError(f"{self.path}: has cycle {found[-1]} and lacks cycle {number}: put its folder back")
        yield from (self.cycle(number) for number in found)

    def corpus_before(self, number: int) -> list[Entry]:
        """Return the seed corpus and what the cycles before `number` added, in order."""
        entries = list(self.corpus.read())
        for earlier in range(1, number):
            entries += self.cycle(earlier).entries.read()
        return entries


def _is_cycle(path: Path) -> bool:
    number = path.name.removeprefix("cycle-")
    return number.isascii() and number.isdecimal() and path.name == _cycle_name(int(number)) and path.is_dir()


def _cycle_name(number: int) -> str:
    return f"cycle-{number:03d}"


def _frozen(plain: dict[str, Any]) -> bytes:
    return json.dumps(plain, indent=1).encode() + b"\n"


def _read_config(file: Path) -> Config:
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise LedgerError(f"{file}: cannot be read: {error}") from error
    for section, key in RETIRED:
        if isinstance(data, dict) and isinstance(data.get(section), dict):
            data[section].pop(key, None)
    return parse(data, origin=str(file))


def _refuse_change(frozen: Config, config: Config, path: Path) -> None:
    old, new = dict(flat(dump(frozen))), dict(flat(dump(config)))
    changed = [key for key in sorted(old | new) if key != "cycles" and old.get(key) != new.get(key)]
    if changed:
        shown = ", ".join(f"{key} ({_text(old, key)} -> {_text(new, key)})" for key in changed[:SHOWN_KEYS])
        more = f" and {len(changed) - SHOWN_KEYS} more" if len(changed) > SHOWN_KEYS else ""
        raise ConfigError(f"{path}: was frozen with another configuration: {shown}{more}; use another --run name")


def _text(flat: dict[str, Any], key: str) -> str:
    return canonical(flat[key]).decode() if key in flat else "absent"
