"""The baseline draws what the corpus holds, the same again for the same seed, and goes the way of every candidate."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.answer import extract
from orchestrator.config import Config
from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.language_model.baseline import CorpusGenerator
from orchestrator.language_model.prompts import assistant
from orchestrator.loop import Loop
from orchestrator.loop.assembly import generator
from orchestrator.loop.fakes import FakeEvaluator, FakeGenerator, FakeTrainer, fake_entry, fake_parts
from orchestrator.records import CycleSummary, Entry, GenerationChunk, Message, Sampled
from orchestrator.run import RunFolder
from orchestrator.run.verify import verify
from tests.support.bench import Bench, config

SAMPLES_CORPUS = {"model": {"source": "fake"}, "sampler": "corpus", "finetune": False}
CHUNKS = (GenerationChunk(index=0, size=200, seed=5), GenerationChunk(index=1, size=100, seed=6))


def baseline(**sections: Any) -> Config:
    return config(llm=SAMPLES_CORPUS, **sections)


def seeded(path: Path, *, count: int = 4) -> tuple[RunFolder, list[Entry]]:
    """A run whose corpus holds `count` programs, each as two chat pairs, as the real one does."""
    run = RunFolder.create(path, baseline())
    entries = []
    for index in range(count):
        plain = fake_entry(index, run.store, protocol=run.config.protocol.hash())
        answer = assistant(run.store.get(plain.source).decode())
        messages = (Message(role="user", content="Design."), answer)
        entries += [
            plain.model_copy(update={"entry_id": f"{plain.entry_id}@{task}", "task": task, "messages": messages})
            for task in ("mnist", "cifar10")
        ]
    run.corpus.extend(tuple(entries))
    run.corpus.finish()
    return run, entries


def drawn(run: RunFolder, chunks: tuple[GenerationChunk, ...] = CHUNKS) -> list[Sampled]:
    return list(CorpusGenerator(run).generate(adapter=None, messages=(), chunks=chunks))


def test_every_draw_is_a_program_of_the_corpus_as_a_model_would_have_written_it(tmp_path: Path) -> None:
    run, entries = seeded(tmp_path)
    known = {run.store.get(entry.source) for entry in entries}
    samples = drawn(run)
    assert [(sample.chunk, sample.row) for sample in samples] == [
        (chunk.index, row) for chunk in CHUNKS for row in range(chunk.size)
    ]
    assert {extract(sample.text) for sample in samples} == known
    assert all(sample.text.startswith("```python\n") for sample in samples)
    assert {sample.tokens for sample in samples} == {0}


def test_every_program_is_as_likely_as_any_other_and_may_come_again(tmp_path: Path) -> None:
    run, _ = seeded(tmp_path)
    counts = Counter(sample.text for sample in drawn(run, (GenerationChunk(index=0, size=4000, seed=1),)))
    assert len(counts) == 4
    assert all(abs(count - 1000) < 5 * (4000 * 0.25 * 0.75) ** 0.5 for count in counts.values())


def test_a_chunk_alone_is_drawn_as_among_others_and_another_seed_gives_another(tmp_path: Path) -> None:
    run, _ = seeded(tmp_path)
    assert drawn(run, CHUNKS[1:]) == drawn(run)[200:]
    other = CHUNKS[1].model_copy(update={"seed": 7})
    assert [sample.text for sample in drawn(run, (other,))] != [sample.text for sample in drawn(run, CHUNKS[1:])]


def test_a_corpus_without_a_program_is_our_failure(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="holds no program"):
        drawn(RunFolder.create(tmp_path, baseline()))


def test_outside_a_run_there_is_no_corpus_to_sample(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"llm\.sampler is corpus, .* set it to model"):
        generator(baseline(), cache=tmp_path, log=tmp_path / "llm.log")


class CorpusBench(Bench):
    """A run that samples its corpus; all else of it is fake."""

    def run_baseline(self, *, breaks_after: int | None = None) -> list[CycleSummary]:
        run = RunFolder.create(self.folder, self.config)
        self.trainer = FakeTrainer()
        self.evaluator = FakeEvaluator(protocol=self.config.protocol.hash(), breaks_after=breaks_after)
        parts = fake_parts(run, generator=FakeGenerator(), evaluator=self.evaluator, trainer=self.trainer)
        return Loop(run, replace(parts, generator=CorpusGenerator(run))).run()


def test_what_is_remembered_is_valid_and_never_new(tmp_path: Path) -> None:
    bench = CorpusBench(tmp_path / "run", baseline(admission={"threshold": 0.4}))
    summaries = bench.run_baseline()
    assert [summary.states for summary in summaries] == [{"duplicate": 20}] * 2
    assert {(summary.valid_rate, summary.corpus_before, summary.corpus_after) for summary in summaries} == {(1.0, 3, 3)}
    assert bench.trainer.trained == []
    records = [record for folder in RunFolder.load(bench.folder).cycles() for record in folder.novelty.read()]
    assert {record.train.exact for record in records if record.train is not None} == {1.0}
    assert {check.what: check.count for check in verify(bench.folder)}["decisions"] == 40


@pytest.mark.parametrize("index", [0, 5, 13, 27])
def test_a_baseline_broken_anywhere_and_resumed_equals_one_that_never_broke(tmp_path: Path, index: int) -> None:
    sections: dict[str, Any] = {"admission": {"threshold": 0.4}, "novelty": {"enabled": False}}
    whole = CorpusBench(tmp_path / "whole", baseline(**sections))
    summaries = whole.run_baseline()
    assert [summary.corpus_after for summary in summaries] == [23, 43]
    broken = CorpusBench(tmp_path / "broken", baseline(**sections))
    with pytest.raises(InfrastructureError, match="evaluator breaks"):
        broken.run_baseline(breaks_after=index)
    broken.run_baseline()
    assert broken.ledgers() == whole.ledgers()


def test_without_iteration_only_seeds_are_drawn(tmp_path: Path) -> None:
    settings = baseline(novelty={"enabled": False}, admission={"threshold": 0.4}, cycles=3)
    fixed = settings.model_copy(update={"llm": settings.llm.model_copy(update={"iterate": False})})
    bench = CorpusBench(tmp_path / "run", fixed)
    bench.run_baseline()
    run = RunFolder.load(bench.folder)
    seeds = {entry.source for entry in run.corpus.read()}
    assert {candidate.source for folder in run.cycles() for candidate in folder.candidates.read()} == seeds
