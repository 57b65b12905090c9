"""The three places where a run can be given something other than the real thing, one method each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.records import Adapter, Entry, Evaluation, GenerationChunk, Message, Sampled


@dataclass(frozen=True)
class Submission:
    """One program to evaluate: `source` is the text as written, or None where a completion held no code."""

    candidate_id: str
    source: bytes | None


class Generator(Protocol):
    """Samples completions from a language model."""

    def generate(
        self, *, adapter: Path | None, messages: Sequence[Message], chunks: Sequence[GenerationChunk]
    ) -> Iterator[Sampled]:
        """Yield every completion of every chunk as it finishes; rows of one chunk may come in any order."""
        ...


class Evaluator(Protocol):
    """Parses, runs and grades programs in containers."""

    def evaluate(self, submissions: Iterable[Submission]) -> Iterator[Evaluation]:
        """Yield one evaluation for each submission, in the order of submission, whatever order they finish in.

        `submissions` may be a generator that blocks: evaluation of the first begins before the last is known.

        Raises:
            InfrastructureError: the engine, an image or the disk failed; no verdict is given for what was under way.
        """
        ...


class Trainer(Protocol):
    """Fine-tunes the language model on a corpus."""

    def train(self, *, entries: Sequence[Entry], adapter: Path | None, output: Path, seed: int) -> Adapter:
        """Train on all `entries`, from the base model or from `adapter`; write a PEFT adapter to `output`."""
        ...
