"""The tokens of texts, counted by the LLM's own tokenizer in a worker, as generation and fine-tuning are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.language_model import assets
from orchestrator.language_model.worker import worker
from orchestrator.records import Counted, CountJob, Message, ModelSpec

COUNT = (sys.executable, "-P", "-m", "llm.count", "--lifeline")
COUNTED: TypeAdapter[Counted] = TypeAdapter(Counted)


@dataclass(frozen=True)
class LlmTokens:
    """Counts tokens of the model of `model` in a worker whose stderr goes to the file `log`; no weights are loaded."""

    model: ModelSpec
    cache: Path
    log: Path
    command: Sequence[str] = COUNT

    def count(self, texts: Sequence[str]) -> tuple[int, ...]:
        """Return how many tokens each text has.

        Raises:
            ConfigError: the model's source is malformed.
            InfrastructureError: the tokenizer cannot be had, or the worker died or left texts out.
        """
        return self._ask(CountJob(model=self.model, texts=tuple(texts)), len(texts))

    def chats(self, chats: Sequence[Sequence[Message]]) -> tuple[int, ...]:
        """Return how many tokens each chat has with the model's template around its messages, as in fine-tuning.

        Raises:
            ConfigError: the model's source is malformed.
            InfrastructureError: the tokenizer cannot be had or has no template, or the worker died or left chats out.
        """
        return self._ask(CountJob(model=self.model, chats=tuple(map(tuple, chats))), len(chats))

    def _ask(self, asked: CountJob, number: int) -> tuple[int, ...]:
        if not number:
            return ()
        job = asked.model_copy(update={"model": assets.model(self.model, self.cache).spec})
        with worker(self.command, job=job, log=self.log, threads=self.model.threads) as running:
            counted = [running.parse(line, COUNTED) for line in running.lines()]
            running.ended()
            if len(counted) != 1 or len(counted[0].tokens) != number:
                raise running.failed(f"it did not count {number} texts")
        return counted[0].tokens
