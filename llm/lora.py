"""The LoRA adapter: put on a model by its spec, and saved in PEFT's own format."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model

from llm.errors import WorkerError
from llm.stream import say
from orchestrator.records import LoraSpec, file_digest


def add(model: Any, spec: LoraSpec) -> PeftModel:
    """Return the model with a new, trainable adapter; everything else is frozen.

    Raises:
        WorkerError: the model has none of the target modules, or no layer in the range.
    """
    config = LoraConfig(
        r=spec.r,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        bias="none",
        task_type="CAUSAL_LM",
        target_modules=list(spec.targets),
        layers_to_transform=layers(spec, count=model.config.get_text_config().num_hidden_layers),
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise WorkerError(f"llm.lora.targets {', '.join(spec.targets)}: do not fit this model: {error}") from error


def layers(spec: LoraSpec, *, count: int) -> list[int] | None:
    """Return the layer numbers to adapt, of the model's `count`; None is all. The range includes both its ends.

    Raises:
        WorkerError: the model has no layer in the range.
    """
    if spec.layers is None:
        return None
    first, last = spec.layers
    chosen = list(range(first, min(last, count - 1) + 1))
    if not chosen:
        raise WorkerError(f"llm.lora.layers {first}-{last}: the model has layers 0-{count - 1}")
    if last >= count:
        say(f"lora: layers {first}-{last} asked for, the model has 0-{count - 1}: adapting {first}-{chosen[-1]}")
    return chosen


def save(model: PeftModel, output: Path, *, base: str) -> str:
    """Write adapter_config.json and adapter_model.safetensors to `output` and return the weights' SHA-256.

    The folder appears whole or not at all. `base` is where anyone who loads the adapter finds its base model.
    """
    model.peft_config["default"].base_model_name_or_path = base
    output.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}.adapter-"))
    try:
        model.save_pretrained(str(scratch), safe_serialization=True, save_embedding_layers=False)
        scratch.chmod(0o755)
        if output.exists():
            shutil.rmtree(output)
        scratch.rename(output)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return file_digest(output / "adapter_model.safetensors")
