"""How the next token of each row is chosen: temperature, top-k and top-p, or the likeliest at temperature zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import TemperatureLogitsWarper, TopPLogitsWarper

if TYPE_CHECKING:
    from orchestrator.records import Decoding


class Sampler:
    """Draws tokens under one decoding and one seeded generator.

    The order is the field's: temperature, then top-k, then top-p. Top-k cuts the vocabulary before the rest is
    computed, so that top-p sorts k numbers and not the whole vocabulary; the distribution is the same.
    """

    def __init__(self, decoding: Decoding, *, seed: int, device: torch.device) -> None:
        self._greedy = decoding.temperature == 0.0
        self._top_k = decoding.top_k
        self._generator = torch.Generator(device=device).manual_seed(seed)
        self._temperature = None if self._greedy else TemperatureLogitsWarper(decoding.temperature)
        self._top_p = TopPLogitsWarper(decoding.top_p) if decoding.top_p < 1.0 else None

    def draw(self, logits: torch.Tensor) -> torch.Tensor:
        """Return one token id per row, shape (rows,), for logits of shape (rows, vocabulary)."""
        if self._greedy:
            return logits.argmax(dim=-1)
        ids, probabilities = self.distribution(logits)
        choice = torch.multinomial(probabilities, num_samples=1, generator=self._generator)
        return ids.gather(1, choice).squeeze(1)

    def distribution(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the candidate ids and their probabilities, both of shape (rows, kept)."""
        kept = min(self._top_k or logits.shape[-1], logits.shape[-1])
        scores, ids = logits.float().topk(kept, dim=-1)
        if self._temperature is not None:
            scores = self._temperature(ids, scores)
        if self._top_p is not None:
            scores = self._top_p(ids, scores)
        return ids, scores.softmax(dim=-1)
