"""LoRA fine-tuning: what is asked for, its steps, and the adapter that comes of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from orchestrator.records.generation import ModelSpec
from orchestrator.records.record import Count, Digest, Line, Record, Seconds


class LoraSpec(Record):
    """LoRA hyperparameters; the defaults are the paper's (Appendix J), alpha the reference implementation's."""

    r: Annotated[int, Field(ge=1)] = 32
    """The rank."""
    alpha: Annotated[int, Field(ge=1)] = 32
    """The scale; an update is multiplied by alpha / r."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    """Dropout before each adapted layer."""
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "up_proj",
        "down_proj",
        "gate_proj",
    )
    """The modules of a layer that get an update."""
    layers: tuple[Count, Count] | None = (0, 23)
    """The first and the last layer that get one, counted from 0; null takes all."""

    @model_validator(mode="after")
    def _layers_from_below(self) -> LoraSpec:
        if self.layers is not None and self.layers[0] > self.layers[1]:
            raise ValueError(f"layers is {list(self.layers)}: write the first and then the last of them")
        return self


class SftSpec(Record):
    """Supervised fine-tuning hyperparameters; the defaults are the paper's (Appendix J)."""

    epochs: Annotated[int, Field(ge=1)] = 5
    """Passes over the corpus."""
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-5
    """The highest learning rate, after the warm-up."""
    batch_size: Annotated[int, Field(ge=1)] = 1
    """Chat pairs in a micro-batch."""
    accumulation: Annotated[int, Field(ge=1)] = 4
    """Micro-batches in a step, whatever the number of GPUs."""
    warmup_steps: Count = 20
    """Steps over which the learning rate rises from 0; it then falls along a cosine."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    """AdamW's weight decay."""
    max_grad_norm: Annotated[float, Field(gt=0.0)] = 1.0
    """The norm that gradients are clipped to."""
    optimizer: Literal["paged_adamw_8bit", "adamw"] = "paged_adamw_8bit"
    """The paged 8-bit AdamW needs a GPU and bitsandbytes; without, torch's AdamW runs, and the record says so."""
    loss_on: Literal["assistant", "all"] = "assistant"
    """Learn from the program's tokens only, or from the prompt's too."""
    max_length: Annotated[int, Field(ge=16)] = 4096
    """The longest chat pair in tokens; a run leaves longer seed programs out."""
    gradient_checkpointing: bool = False
    """Compute activations twice, to hold fewer in memory."""


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
