"""The adapter of one cycle, taken out of its run only when every file is still what the run recorded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from orchestrator.account import JOURNAL, added_up, read_chain
from orchestrator.errors import ConfigError, LedgerError
from orchestrator.records import Adapter, Digest
from orchestrator.run import CycleFolder, RunFolder
from orchestrator.weights import digests

WEIGHTS = "adapter_model.safetensors"
SETTINGS = "adapter_config.json"
BASE = "base_model_name_or_path"


def adapter_of(run: RunFolder, cycle: int) -> tuple[CycleFolder, Adapter]:
    """Return the cycle that trained the adapter which `cycle` samples from, and its record.

    Raises:
        ConfigError: the run trains none, or has none of that cycle yet.
        LedgerError: the ledger is damaged.
    """
    llm = run.config.llm
    if not llm.finetune:
        raise ConfigError(f"{run.path}: its configuration has llm.finetune off, so it has no adapter")
    folder = run.cycle(cycle if llm.iterate else 1)
    records = folder.adapter.read()
    if not records:
        raise ConfigError(f"--cycle {cycle}: {run.path} has no adapter of it yet")
    return folder, records[0]


def copy(run: RunFolder, folder: CycleFolder, adapter: Adapter, target: Path) -> bool:
    """Copy the adapter of `folder` into `target` and hold every copied file against what the run recorded of it.

    Its ledger has the digest of the weights, the run's journal that of every file; returns whether there is a journal.

    Raises:
        ConfigError: the adapter was dropped.
        LedgerError: a file was changed, is missing or was added; the message names it.
        OSError: a file cannot be read or written.
    """
    known = _journalled(run, folder)
    if folder.weights.is_dir():
        shutil.copytree(folder.weights, target, copy_function=shutil.copyfile, dirs_exist_ok=True)
    found = digests(target)
    if found.get(WEIGHTS) != adapter.weights:
        what = "was changed" if WEIGHTS in found else "is missing"
        raise LedgerError(f"{folder.weights / WEIGHTS}: {what} since {folder.adapter.path} recorded it")
    for name in sorted(found.keys() | known.keys()) if known is not None else ():
        if known is not None and known.get(name) != found.get(name):
            what = "is missing" if name not in found else "was added" if name not in known else "was changed"
            raise LedgerError(f"{folder.weights / name}: {what} since {JOURNAL} recorded the adapter")
    return known is not None


def rename_base(target: Path, base: str) -> None:
    """Let the settings in `target` name the base model as `base`, and no folder of the machine that trained on it."""
    path = target / SETTINGS
    settings = json.loads(path.read_bytes())
    path.write_text(json.dumps(settings | {BASE: base}, indent=2) + "\n", encoding="utf-8")


def _journalled(run: RunFolder, folder: CycleFolder) -> dict[str, Digest] | None:
    """Return the digests that the journal has of the adapter's files; None where the run is older than journals."""
    path = run.path / JOURNAL
    events, _ = read_chain(path)
    if not events:
        return None
    account = added_up(events, path=path)
    if folder.weights_name in account.without_weights and not folder.weights.is_dir():
        raise ConfigError(
            f"{folder.weights}: was dropped by `orchestrate audit prune-adapters`; choose another --cycle"
        )
    known = account.weights.get(folder.weights_name)
    if known is None:
        raise LedgerError(f"{folder.weights}: its files were never recorded in {path}; resume the run, which does it")
    return known
