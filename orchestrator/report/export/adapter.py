"""The adapter of one cycle, taken out of its run only when every file is still what the run recorded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from orchestrator.errors import ConfigError, LedgerError
from orchestrator.language_model.assets import PYPI
from orchestrator.language_model.prompts import messages
from orchestrator.records import Adapter, Digest
from orchestrator.report.export import cards
from orchestrator.report.export.licences import Licence
from orchestrator.run import CycleFolder, RunFolder
from orchestrator.run.adapter_files import digests
from orchestrator.run.chain import JOURNAL, added_up, read_chain

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
    """Return the digests that the journal has of the adapter's files; None if the run is older than journals."""
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


TENTH = 10

USE = (
    "For studying the loop that made it, and for sampling network designs under the prompt below. What it writes is"
    " code that nobody checked: run it only where it can do no harm."
)

UNSAMPLED = "No cycle that sampled from it is complete yet, so nothing is known of what it generates."

SMALL = (
    "It was trained on one narrow kind of program under one fixed prompt. It may repeat training programs nearly word"
    " for word; how often, the duplicates above say."
)


def card(run: RunFolder, folder: CycleFolder, adapter: Adapter, *, licence: Licence, journalled: bool) -> str:
    """Return README.md of the export: PEFT's header, and what a reader must know."""
    config = run.config
    base = cards.base_model(config)
    return cards.page(
        _header(base, licence),
        f"# The adapter of cycle {folder.number} of the run {run.name}",
        f"A LoRA adapter for `{base}` that writes PyTorch networks for {config.prompt.task}. {_base(base)}",
        "## Training",
        cards.table(("training", ""), _training(run, folder, adapter)),
        _loss(adapter.loss),
        "## What it generated",
        _generated(run, folder),
        cards.thresholds(config),
        cards.protocol(config),
        "## How it was made",
        cards.surroundings(run),
        _checked(adapter, journalled=journalled),
        "## Intended use",
        USE,
        _prompt(run),
        "## Limitations",
        cards.bullets([*cards.limits(config), SMALL]),
        "## Licences",
        _licences(base, licence),
    )


def _header(base: str, licence: Licence) -> dict[str, Any]:
    stated = {} if licence.words is None else {"license": licence.words}
    return {
        "base_model": base,
        "library_name": "peft",
        **stated,
        "pipeline_tag": "text-generation",
        "tags": ["lora", "peft", "transformers", "code", "neural-architecture-design"],
    }


def _base(base: str) -> str:
    loading = "Load the base model, then `peft.PeftModel.from_pretrained(model, FOLDER)`."
    if base.startswith(PYPI):
        package = base.removeprefix(PYPI)
        return f"The base model is the GGUF file in the wheel `{package}` on PyPI; `transformers` reads it. {loading}"
    return loading


def _training(run: RunFolder, folder: CycleFolder, adapter: Adapter) -> list[tuple[str, object]]:
    llm = run.config.llm
    begins = "the adapter of the cycle before" if llm.continue_adapter and folder.number > 1 else "the base model"
    layers = "all" if llm.lora.layers is None else f"{llm.lora.layers[0]} to {llm.lora.layers[1]}"
    settings = llm.sft.model_dump(mode="json") | {"optimizer": adapter.optimizer}
    return [
        ("begins from", begins),
        ("entries of the corpus", f"{adapter.entries:,}"),
        ("SHA-256 of the corpus file", f"`{adapter.corpus}`"),
        ("steps", f"{adapter.steps:,}"),
        ("learnt tokens", f"{adapter.tokens:,}"),
        ("trainable parameters", f"{adapter.trainable_parameters:,}"),
        ("time", f"{adapter.measured.seconds:,.0f} s"),
        ("rank, alpha, dropout", f"{llm.lora.r}, {llm.lora.alpha}, {llm.lora.dropout:g}"),
        ("modules", ", ".join(llm.lora.targets)),
        ("layers", layers),
        ("precision", llm.model.dtype),
        *((name.replace("_", " "), value) for name, value in settings.items()),
    ]


def _loss(loss: Sequence[float]) -> str:
    """Return where the loss began and where it ended: its first and last step, and the means of the tenths there."""
    if not loss:
        return "No loss was recorded."
    some = max(1, len(loss) // TENTH)
    ends = (("first", loss[0], loss[:some]), ("last", loss[-1], loss[-some:]))
    rows = [(name, f"{one:.4f}", f"{fmean(several):.4f}") for name, one, several in ends]
    return cards.table(("loss", "step", f"mean of {some} steps"), rows)


def _generated(run: RunFolder, folder: CycleFolder) -> str:
    later = run.cycles() if not run.config.llm.iterate else (folder,)
    return cards.cycles([one for cycle in later for one in cycle.summary.read()], none=UNSAMPLED)


def _checked(adapter: Adapter, *, journalled: bool) -> str:
    files = (
        "as was every file by its journal" if journalled else "but it has no journal to hold the other files against"
    )
    return (
        f"SHA-256 of `adapter_model.safetensors`: `{adapter.weights}`. When this was exported, the weights were the"
        f" ones that the run recorded, {files}. In `adapter_config.json` the base model's name was then put in the"
        " place of a path."
    )


def _prompt(run: RunFolder) -> str:
    decoding = ", ".join(f"{name} {value}" for name, value in run.config.llm.decoding.model_dump().items())
    config = run.config
    turns = messages(config.prompt, config.admission, resolution=config.protocol.resolution)
    shown = "\n\n".join(f"{turn.role}:\n{turn.content}" for turn in turns)
    return f"It was sampled with {decoding}, under the prompt\n\n````text\n{shown}\n````"


def _licences(base: str, licence: Licence) -> str:
    stated = (
        f"The base model states {licence.words} ({licence.where})."
        if licence.words is not None
        else f"What licence the base model `{base}` has was not found here: {licence.where}. Look it up before use."
    )
    return f"{stated} The licences of the programs that it was trained on are in the data card of the corpus."
