"""LoRA fine-tuning: what is asked for, its steps, and the adapter that comes of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from orchestrator.records.generation import ModelSpec
from orchestrator.records.record import Count, Digest, Line, Record, Seconds


class LoraSpec(Record):
    """LoRA hyperparameters; the defaults are the paper's (Appendix J), alpha the reference implementation's."""

    r: Annotated[int, Field(ge=1)] = 32
    alpha: Annotated[int, Field(ge=1)] = 32
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "up_proj",
        "down_proj",
        "gate_proj",
    )
    layers: tuple[Count, Count] | None = (0, 23)

    @model_validator(mode="after")
    def _layers_from_below(self) -> LoraSpec:
        if self.layers is not None and self.layers[0] > self.layers[1]:
            raise ValueError(f"layers is {list(self.layers)}: write the first and then the last of them")
        return self


class SftSpec(Record):
    """Supervised fine-tuning hyperparameters; the defaults are the paper's (Appendix J)."""

    epochs: Annotated[int, Field(ge=1)] = 5
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-5
    batch_size: Annotated[int, Field(ge=1)] = 1
    accumulation: Annotated[int, Field(ge=1)] = 4
    warmup_steps: Count = 20
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    max_grad_norm: Annotated[float, Field(gt=0.0)] = 1.0
    optimizer: Literal["paged_adamw_8bit", "adamw"] = "paged_adamw_8bit"
    loss_on: Literal["assistant", "all"] = "assistant"
    max_length: Annotated[int, Field(ge=16)] = 4096
    gradient_checkpointing: bool = False


class FinetuneJob(Record):
    """What one run of the fine-tuning worker is asked for; `corpus` is a JSON Lines file of `Entry` records."""

    model: ModelSpec
    adapter: str | None
    corpus: str
    lora: LoraSpec
    sft: SftSpec
    seed: Count
    output: str
    cache: str


class FinetuneStep(Record):
    """One optimizer step as the worker streams it."""

    step: Count
    steps: Count
    loss: float
    learning_rate: float
    tokens: Count
    seconds: Seconds


class AdapterMeasured(Record):
    """Measured quantities of one fine-tuning run."""

    seconds: Seconds


class Adapter(Line):
    """One fine-tuned LoRA adapter, saved in PEFT's own format under `path` (relative to the cycle's folder)."""

    kind: Literal["adapter"] = "adapter"
    path: str
    base_model: str
    entries: Count
    steps: Count
    tokens: Count
    trainable_parameters: Count
    optimizer: str
    loss: tuple[float, ...]
    corpus: Digest
    weights: Digest
    measured: AdapterMeasured
