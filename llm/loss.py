"""The loss of a micro-batch as its share of one optimizer step: a sum over tokens, divided by the step's tokens."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from llm.batches import IGNORED

if TYPE_CHECKING:
    from llm.batches import Batch


def keeps_logits(model: Any) -> bool:
    """Say whether the model can compute its head at chosen positions only, which most of transformers' can."""
    return "logits_to_keep" in inspect.signature(model.forward).parameters


def summed(model: Any, batch: Batch, *, device: torch.device, selective: bool) -> torch.Tensor:
    """Return the cross-entropy summed over the batch's learnt tokens, in float32.

    With `selective` the head, which is the widest layer of a small model, runs only at columns with a target.
    """
    positions = batch.positions.to(device)
    keep = {"logits_to_keep": positions} if selective else {}
    out = model(input_ids=batch.ids.to(device), attention_mask=batch.attention.to(device), use_cache=False, **keep)
    logits = out.logits if selective else out.logits[:, positions]
    targets = batch.targets.to(device)[:, positions]
    scores = logits.float().flatten(0, 1)
    return functional.cross_entropy(scores, targets.flatten(), ignore_index=IGNORED, reduction="sum")
