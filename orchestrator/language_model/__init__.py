"""What the language model is asked, who answers, and the program in its answer."""

from __future__ import annotations

from orchestrator.language_model.local import LlmGenerator, LlmTrainer
from orchestrator.language_model.seam import Generator, Trainer
from orchestrator.language_model.tokens import LlmTokens

__all__ = ["Generator", "LlmGenerator", "LlmTokens", "LlmTrainer", "Trainer"]
