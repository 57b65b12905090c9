"""The two places where a run can be given another language model than the local one, one method each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from orchestrator.records import Adapter, Entry, GenerationChunk, Message, Sampled


class Generator(Protocol):
    """Samples completions from a language model."""

    def generate(
        self, *, adapter: Path | None, messages: Sequence[Message], chunks: Sequence[GenerationChunk]
    ) -> Iterator[Sampled]:
        """Yield every completion of every chunk as it finishes; rows of one chunk may come in any order."""
        ...


class Trainer(Protocol):
    """Fine-tunes the language model on a corpus."""

    def train(self, *, entries: Sequence[Entry], adapter: Path | None, output: Path, seed: int) -> Adapter:
        """Train on all `entries`, from the base model or from `adapter`; write a PEFT adapter to `output`."""
        ...
