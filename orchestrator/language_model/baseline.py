"""The baseline that remembers all and invents nothing: programs drawn from the corpus in place of a model's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.errors import InfrastructureError
from orchestrator.records import Entry, GenerationChunk, Message, Sampled, derived_seed
from orchestrator.run import RunFolder


class CorpusGenerator:
    """Answers every prompt with a program of the run's corpus, each as likely as any other, with replacement.

    What is drawn depends on the chunk's seed, the row and the corpus before the cycle, so that a chunk which is drawn
    again is the same. No model is loaded: a completion has no tokens of one, and took no time.
    """

    def __init__(self, run: RunFolder) -> None:
        self._run = run

    def generate(
        self, *, adapter: Path | None, messages: Sequence[Message], chunks: Sequence[GenerationChunk]
    ) -> Iterator[Sampled]:
        """Yield the completions of each chunk in order; the last answer of a chat pair is one, as it stands.

        Raises:
            InfrastructureError: the corpus holds no program.
        """
        del adapter, messages
        answers = list({entry.source: entry.messages[-1].content for entry in self._corpus()}.values())
        if not answers:
            raise InfrastructureError(f"{self._run.corpus.path}: holds no program to draw")
        for chunk in chunks:
            for row in range(chunk.size):
                drawn = answers[derived_seed(chunk.seed, "corpus", row) % len(answers)]
                yield Sampled(chunk=chunk.index, row=row, text=drawn, tokens=0, finish="code", seconds=0.0)

    def _corpus(self) -> Sequence[Entry]:
        """Return the corpus before the cycle that has begun last; without iteration it is always the seed corpus."""
        if not self._run.config.llm.iterate:
            return self._run.corpus.read()
        return self._run.corpus_before(sum(1 for _ in self._run.cycles()))
