"""The closed loop: fine-tune, generate, evaluate, novelty, admit, append, summarise, again (paper, Figure 1)."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.corpus import Index
from orchestrator.corpus.novelty import Sketch
from orchestrator.errors import ConfigError, InfrastructureError, LedgerError
from orchestrator.escape import plain
from orchestrator.evaluation import Evaluator
from orchestrator.language_model import Generator, Trainer
from orchestrator.loop.admission import Admission
from orchestrator.loop.sampling import Sampling
from orchestrator.progress import Guessing, Note, Observer, StageBegins, unobserved
from orchestrator.records import Adapter, CycleSummary, Digest, Entry, Message, derived_seed
from orchestrator.run import CycleFolder, RunFolder, Store, statistics
from orchestrator.run.functional_duplicates import counted
from orchestrator.sections import StopConfig


@dataclass(frozen=True)
class Parts:
    """What the loop works with: the real thing, or the fakes.

    `reap` removes what a killed process left running; it is called before anything is computed. `evaluator` is entered
    only when there is something to evaluate. `seeds` builds the seed corpus, with every source and shingle set in the
    store. `pair` makes the chat pair of an admitted program. `chance` and `majority` are the accuracies of guessing and
    of always answering the most frequent class.
    """

    reap: Callable[[], None]
    generator: Generator
    evaluator: Callable[[], AbstractContextManager[Evaluator]]
    trainer: Trainer
    seeds: Callable[[Store], Iterable[Entry]]
    prompt: Sequence[Message]
    pair: Callable[[str], tuple[Message, ...]]
    chance: float
    majority: float


class Loop:
    """Runs the cycles of one run, or the rest of them: what is whole on disk is not computed again."""

    def __init__(self, run: RunFolder, parts: Parts, *, observe: Observer = unobserved) -> None:
        self._run = run
        self._config = run.config
        self._parts = parts
        self._observe = observe
        self._sketches: dict[Digest, Sketch] = {}  # of the corpus, by their shingles: one for all cycles

    def run(self) -> list[CycleSummary]:
        """Return the summaries of all cycles up to the configured number, or to where the criterion stops.

        How it ended is journalled: finished once, and paused by whatever else ends it.
        """
        try:
            summaries = self._cycles()
        except BaseException as error:
            self._paused(error)
            raise
        journal = self._run.journal
        if journal is not None and not journal.account.finished:
            journal.record("finished", {"cycles": len(summaries)})
        return summaries

    def _cycles(self) -> list[CycleSummary]:
        self._observe(Guessing(chance=self._parts.chance, majority=self._parts.majority))
        folders = [self._run.cycle(number) for number in range(1, self._config.cycles + 1)]
        if not all(folder.summary.whole for folder in folders):
            self._parts.reap()
        self._seed()
        summaries: list[CycleSummary] = []
        for folder in folders:
            summaries.append(self._cycle(folder))
            if should_stop(summaries, self._config.stop):
                told = f"stopping after cycle {folder.number}: accuracy and share above threshold are stable"
                self._observe(Note(told))
                break
        return summaries

    def _paused(self, error: BaseException) -> None:
        cause = plain(f"{type(error).__name__}: {error}".partition("\n")[0])
        with contextlib.suppress(
            InfrastructureError
        ):  # if the disk is full, the event does not fit either, and the full disk is what the user must hear of
            self._run.record("paused", {"cause": cause})

    def _cycle(self, folder: CycleFolder) -> CycleSummary:
        if not folder.summary.whole:
            corpus = self._run.corpus_before(folder.number)
            adapter = self._finetune(folder, corpus)
            self._sample(folder, corpus, adapter)
            self._append(folder)
            self._summarise(folder, corpus)
        return _only(folder.summary.read(), folder.summary.path)

    def _seed(self) -> None:
        ledger = self._run.corpus
        if not ledger.whole:
            self._observe(StageBegins(cycle=0, name="corpus"))
            ledger.keep(0, why="the seed corpus was torn; it is built again as a whole")
            ledger.extend(tuple(self._parts.seeds(self._run.store)))
            ledger.finish()

    def _finetune(self, folder: CycleFolder, corpus: Sequence[Entry]) -> Path | None:
        """Return the adapter that this cycle samples from; train it unless it is whole or the config reuses one."""
        llm = self._config.llm
        if not llm.finetune:
            return None
        if not llm.iterate and folder.number > 1:
            return _kept(self._run.cycle(1))
        if not folder.adapter.whole:
            self._observe(StageBegins(cycle=folder.number, name="finetune"))
            folder.path.mkdir(exist_ok=True)
            if not folder.adapter.read():
                continued = llm.continue_adapter and folder.number > 1
                earlier = _kept(self._run.cycle(folder.number - 1)) if continued else None
                adapter = self._train(folder, corpus, earlier)
                self._run.record_weights(folder)
                folder.adapter.append(adapter)
            folder.adapter.finish()
        return _kept(folder)

    def _train(self, folder: CycleFolder, corpus: Sequence[Entry], earlier: Path | None) -> Adapter:
        partial = folder.path / "adapter.part"
        for stale in (partial, folder.weights):
            shutil.rmtree(stale, ignore_errors=True)
        seed = derived_seed(self._config.seed, "finetune", folder.number)
        adapter = self._parts.trainer.train(entries=corpus, adapter=earlier, output=partial, seed=seed)
        partial.replace(folder.weights)
        return adapter.model_copy(update={"path": folder.weights.name})

    def _sample(self, folder: CycleFolder, corpus: Sequence[Entry], adapter: Path | None) -> None:
        config = self._config
        known, sources = Index(config.novelty), set()
        for entry in corpus:
            if entry.source not in sources:  # one program stands in several chat pairs
                sources.add(entry.source)
                if entry.shingles not in self._sketches:
                    self._sketches[entry.shingles] = known.sketch(self._run.store.get(entry.shingles))
                known.add(entry.entry_id, self._sketches[entry.shingles])
        admission = Admission(
            config.rule(folder.number),
            known=known,
            fresh=Index(config.novelty),
            only_admitted=config.novelty.generation == "admitted",
        )
        Sampling(
            run=self._run,
            folder=folder,
            admission=admission,
            generator=self._parts.generator,
            evaluator=self._parts.evaluator,
            messages=self._parts.prompt,
            observe=self._observe,
        ).run(adapter=adapter)

    def _append(self, folder: CycleFolder) -> None:
        """Add one chat pair under the run's own prompt for each admitted candidate, in candidate order."""
        if folder.entries.whole:
            return
        self._observe(StageBegins(cycle=folder.number, name="append"))
        candidates = {candidate.candidate_id: candidate for candidate in folder.candidates.read()}
        admitted = [record for record in folder.novelty.read() if record.decision == "admitted"]
        for record in admitted[len(folder.entries.read()) :]:
            candidate = candidates[record.candidate_id]
            if candidate.source is None or candidate.program is None:
                raise LedgerError(f"{folder.candidates.path}: {record.candidate_id} was admitted without a program")
            folder.entries.append(
                Entry(
                    entry_id=record.candidate_id,
                    origin=f"cycle:{folder.number}",
                    task=self._config.prompt.task,
                    source=candidate.source,
                    shingles=candidate.program.shingles,
                    accuracy=record.accuracy,
                    protocol=self._config.protocol.hash(),
                    messages=self._parts.pair(self._run.store.get(candidate.source).decode()),
                )
            )
        folder.entries.finish()

    def _summarise(self, folder: CycleFolder, corpus: Sequence[Entry]) -> None:
        self._observe(StageBegins(cycle=folder.number, name="summarise"))
        summary = statistics.of_cycle(
            folder,
            self._config,
            corpus=(len(self._run.corpus.read()), len(corpus)),
            guessing=Guessing(chance=self._parts.chance, majority=self._parts.majority),
            functional=counted(self._run, folder.number),
        )
        if not folder.summary.read():
            folder.summary.append(summary)
        folder.summary.finish()
        self._observe(summary)


def should_stop(summaries: Sequence[CycleSummary], stop: StopConfig) -> bool:
    """Whether the criterion of Appendix D holds at the end of `summaries`.

    Over the last `stop.cycles` cycles the mean accuracy improved by less than `stop.improvement`, and every share
    above threshold lies inside the Wilson interval of the first of them. A cycle without a mean decides nothing.
    """
    if not stop.enabled or len(summaries) <= stop.cycles:
        return False
    recent = summaries[-stop.cycles - 1 :]
    means = [summary.accuracy_mean for summary in recent if summary.accuracy_mean is not None]
    shares = [summary.above_rate for summary in recent if summary.above_rate is not None]
    interval = recent[0].above_interval
    if len(means) < len(recent) or len(shares) < len(recent) or interval is None:
        return False
    stable = all(interval.low <= share <= interval.high for share in shares)
    return stable and max(means[1:]) - means[0] < stop.improvement


def _kept(folder: CycleFolder) -> Path:
    """Return the adapter of a cycle, which is there unless it was dropped or not carried along."""
    if not folder.weights.is_dir():
        raise ConfigError(
            f"{folder.weights}: is needed and is gone; put it back, or begin anew under another --run name"
        )
    return folder.weights


def _only(summaries: Sequence[CycleSummary], path: Path) -> CycleSummary:
    if len(summaries) != 1:
        raise LedgerError(f"{path}: holds {len(summaries)} summaries instead of one")
    return summaries[0]
