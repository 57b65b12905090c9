"""The tokens of texts, counted by the LLM's own tokenizer in a worker, as generation and fine-tuning are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator import assets
from orchestrator.records import Counted, CountJob, ModelSpec
from orchestrator.worker import worker

COUNT = (sys.executable, "-m", "llm.count", "--lifeline")
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
        if not texts:
            return ()
        job = CountJob(model=assets.model(self.model, self.cache).spec, texts=tuple(texts))
        with worker(self.command, job=job, log=self.log, threads=self.model.threads) as running:
            counted = [running.parse(line, COUNTED) for line in running.lines()]
            running.ended()
            if len(counted) != 1 or len(counted[0].tokens) != len(texts):
                raise running.failed(f"it did not count {len(texts)} texts")
        return counted[0].tokens
