"""The folder of a run: a cycle is a folder in it, a stage is a file in that, and the configuration is frozen."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.config import Config, parse
from orchestrator.errors import ConfigError, InfrastructureError, LedgerError
from orchestrator.ledger import Ledger, Report, silent, sync_folder
from orchestrator.records import (
    Adapter,
    Candidate,
    Completion,
    CycleSummary,
    Entry,
    Novelty,
    Provenance,
    Verdict,
    canonical,
)
from orchestrator.store import Store

SHOWN_KEYS = 5


class CycleFolder:
    """The ledgers of one cycle, in the order in which they are written."""

    def __init__(self, path: Path, number: int, *, report: Report = silent) -> None:
        self.path = path
        self.number = number
        self.adapter = Ledger(path / "adapter.jsonl", Adapter, report=report)
        self.completions = Ledger(path / "completions.jsonl", Completion, report=report)
        self.candidates = Ledger(path / "candidates.jsonl", Candidate, report=report)
        self.verdicts = Ledger(path / "verdicts.jsonl", Verdict, report=report)
        self.novelty = Ledger(path / "novelty.jsonl", Novelty, report=report)
        self.entries = Ledger(path / "entries.jsonl", Entry, report=report)
        self.summary = Ledger(path / "summary.jsonl", CycleSummary, report=report)

    @property
    def weights(self) -> Path:
        """The folder of this cycle's adapter in PEFT's own format."""
        return self.path / "adapter"


class RunFolder:
    """Everything that one run has written, under `path`."""

    def __init__(self, path: Path, config: Config, *, report: Report = silent) -> None:
        self.path = path
        self.config = config
        self._report = report
        self.store = Store(path / "objects")
        self.corpus = Ledger(path / "corpus.jsonl", Entry, report=report)
        self.provenance = Ledger(path / "provenance.jsonl", Provenance, report=report)

    @classmethod
    def create(cls, path: Path, config: Config, *, report: Report = silent) -> RunFolder:
        """Freeze `config` in a new folder, or continue one that froze the same; only `cycles` may differ.

        Raises:
            ConfigError: the folder was frozen with another configuration; the message names the first keys.
        """
        path.mkdir(parents=True, exist_ok=True)
        file = path / "config.json"
        if file.exists():
            frozen = _read_config(file)
            _refuse_change(frozen, config, path)
            if config.cycles <= frozen.cycles:
                return cls(path, config, report=report)
        _write_config(file, config)
        return cls(path, config, report=report)

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

    def cycle(self, number: int) -> CycleFolder:
        """Return cycle `number`, counted from 1; its folder is made when it is first written."""
        return CycleFolder(self.path / f"cycle-{number:03d}", number, report=self._report)

    def cycles(self) -> Iterator[CycleFolder]:
        """Yield the cycles that have begun, in order."""
        number = 1
        while (folder := self.cycle(number)).path.is_dir():
            yield folder
            number += 1

    def corpus_before(self, number: int) -> list[Entry]:
        """Return the seed corpus and what the cycles before `number` added, in order."""
        entries = list(self.corpus.read())
        for earlier in range(1, number):
            entries += self.cycle(earlier).entries.read()
        return entries


def _write_config(file: Path, config: Config) -> None:
    partial = file.with_suffix(".part")
    try:
        with partial.open("wb") as target:
            target.write(json.dumps(dump(config), indent=1).encode() + b"\n")
            target.flush()
            os.fsync(target.fileno())
        partial.replace(file)
        sync_folder(file.parent)
    except OSError as error:
        raise InfrastructureError(f"{file}: cannot be written: {error}") from error


def _read_config(file: Path) -> Config:
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise LedgerError(f"{file}: cannot be read: {error}") from error
    return parse(data, origin=str(file))


def dump(config: Config) -> dict[str, Any]:
    """Return `config` as plain data, the way it is frozen and hashed."""
    plain: dict[str, Any] = config.model_dump(mode="json", by_alias=True)
    return plain


def _refuse_change(frozen: Config, config: Config, path: Path) -> None:
    old, new = dict(_flat(dump(frozen))), dict(_flat(dump(config)))
    changed = [key for key in sorted(old | new) if key != "cycles" and old.get(key) != new.get(key)]
    if changed:
        shown = ", ".join(f"{key} ({_text(old, key)} -> {_text(new, key)})" for key in changed[:SHOWN_KEYS])
        more = f" and {len(changed) - SHOWN_KEYS} more" if len(changed) > SHOWN_KEYS else ""
        raise ConfigError(f"{path}: was frozen with another configuration: {shown}{more}; use another --run name")


def _flat(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(flat: dict[str, Any], key: str) -> str:
    return canonical(flat[key]).decode() if key in flat else "absent"
