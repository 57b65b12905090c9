"""The model card of an exported adapter, written from the run's own ledgers."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from orchestrator import cards
from orchestrator.assets import PYPI
from orchestrator.licences import Licence
from orchestrator.prompts import messages
from orchestrator.records import Adapter
from orchestrator.run import CycleFolder, RunFolder

TENTH = 10
USE = (
    "For studying the loop that made it, and for sampling network designs under the prompt below. What it writes is"
    " code that nobody checked: run it only where it can do no harm."
)
UNSAMPLED = "No cycle that sampled from it is whole yet, so nothing is known of what it generates."
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
