"""Generation and evaluation of one cycle's candidates, side by side, decided in candidate order."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from orchestrator.answer import extract
from orchestrator.errors import InfrastructureError, LedgerError
from orchestrator.evaluation import Evaluator, Submission
from orchestrator.language_model import Generator
from orchestrator.loop import budget
from orchestrator.loop.admission import Admission
from orchestrator.loop.prefetch import Ahead
from orchestrator.progress import Observer, StageBegins
from orchestrator.records import Completion, CompletionMeasured, Evaluation, GenerationChunk, Message, Sampled
from orchestrator.records.candidate import candidate_id
from orchestrator.run import CycleFolder, RunFolder


class Sampling:
    """Takes one cycle from an adapter to decided candidates, and continues where its ledgers end."""

    def __init__(  # noqa: PLR0913 - one place where a cycle's parts meet
        self,
        *,
        run: RunFolder,
        folder: CycleFolder,
        admission: Admission,
        generator: Generator,
        evaluator: Callable[[], contextlib.AbstractContextManager[Evaluator]],
        messages: Sequence[Message],
        observe: Observer,
    ) -> None:
        self._run = run
        self._folder = folder
        self._config = run.config
        self._admission = admission
        self._generator = generator
        self._evaluator = evaluator
        self._messages = messages
        self._observe = observe
        self._settled = 0

    def run(self, *, adapter: Path | None) -> None:
        """Generate, evaluate and decide round after round until the cycle's budget is met."""
        folder = self._folder
        if folder.completions.whole and folder.verdicts.whole and folder.novelty.whole:
            return
        folder.path.mkdir(exist_ok=True)
        self._replay()
        end = 0
        while size := budget.next_round(self._config.budget, folder.number, self._admitted()[:end]):
            self._round(start=end, end=end + size, adapter=adapter)
            end += size
        if len(folder.completions.read()) != end:
            raise LedgerError(f"{folder.completions.path}: holds other than the {end} completions of its budget")
        for ledger in (folder.completions, folder.candidates, folder.verdicts, folder.novelty):
            if not ledger.whole:
                ledger.finish()

    def _round(self, *, start: int, end: int, adapter: Path | None) -> None:
        folder = self._folder
        present = len(folder.completions.read())
        kept = budget.whole(self._config.budget, present=min(present, end), end=end)
        if present <= end:
            folder.completions.keep(kept, why="their chunk was torn; it is generated again as a whole")
        chunks = budget.chunks(self._config.budget, seed=self._config.seed, cycle=folder.number, start=kept, end=end)
        self._observe(StageBegins(cycle=folder.number, name="sample", total=end))
        if len(folder.verdicts.read()) < end:
            self._evaluate(start=start, end=end, chunks=chunks, adapter=adapter)
        self._settle()

    def _evaluate(self, *, start: int, end: int, chunks: Sequence[GenerationChunk], adapter: Path | None) -> None:
        folder = self._folder
        if not self._config.budget.overlap:
            deque(self._generate(chunks, adapter, threading.Event()), maxlen=0)  # all of it, into the ledger
            chunks = ()
        judged = len(folder.verdicts.read())
        waiting = folder.completions.read()[max(start, judged) : end]
        with contextlib.ExitStack() as stack:
            evaluator = stack.enter_context(self._evaluator())
            ahead: Ahead[Completion] | None = None
            if chunks:
                ahead = Ahead(lambda stopped: self._generate(chunks, adapter, stopped))
                stack.callback(ahead.stop)
            for evaluation in evaluator.evaluate(self._submissions(waiting, ahead)):
                self._record(evaluation)
            if ahead is not None:
                ahead.finish()
        if len(folder.verdicts.read()) != end:
            raise InfrastructureError(f"{folder.verdicts.path}: the evaluator ended early; resume to evaluate the rest")

    def _submissions(self, waiting: Sequence[Completion], ahead: Ahead[Completion] | None) -> Iterator[Submission]:
        for completion in waiting:
            yield self._submission(completion)
        for completion in ahead or ():
            yield self._submission(completion)

    def _submission(self, completion: Completion) -> Submission:
        return Submission(candidate_id=completion.candidate_id, source=extract(completion.text))

    def _generate(
        self, chunks: Sequence[GenerationChunk], adapter: Path | None, stopped: threading.Event
    ) -> Iterator[Completion]:
        """Yield the completions of each chunk once all of it is in the ledger, in candidate order."""
        rows: dict[int, dict[int, Sampled]] = {chunk.index: {} for chunk in chunks}
        pending = list(chunks)
        for sampled in self._generator.generate(adapter=adapter, messages=self._messages, chunks=chunks):
            rows[sampled.chunk][sampled.row] = sampled
            while pending and len(rows[pending[0].index]) == pending[0].size:
                if stopped.is_set():
                    return
                chunk = pending.pop(0)
                completions = self._completions(chunk, rows.pop(chunk.index))
                self._folder.completions.extend(completions)
                for completion in completions:
                    self._observe(completion)
                    yield completion
        if pending:
            raise InfrastructureError("the generation worker ended before every chunk was whole; resume to go on")

    def _completions(self, chunk: GenerationChunk, rows: dict[int, Sampled]) -> list[Completion]:
        first = chunk.index * self._config.budget.chunk
        return [
            Completion(
                candidate_id=candidate_id(self._folder.number, first + row),
                cycle=self._folder.number,
                index=first + row,
                chunk=chunk.index,
                seed=chunk.seed,
                text=rows[row].text,
                tokens=rows[row].tokens,
                finish=rows[row].finish,
                measured=CompletionMeasured(seconds=rows[row].seconds),
            )
            for row in range(chunk.size)
        ]

    def _record(self, evaluation: Evaluation) -> None:
        index = len(self._folder.verdicts.read())
        expected = candidate_id(self._folder.number, index)
        if {evaluation.candidate.candidate_id, evaluation.verdict.candidate_id} != {expected}:
            raise LedgerError(f"the evaluator answered for {evaluation.candidate.candidate_id} instead of {expected}")
        self._run.keep(evaluation)
        self._folder.candidates.append(evaluation.candidate)
        self._folder.verdicts.append(evaluation.verdict)
        self._observe(evaluation)
        self._settle()

    def _settle(self) -> None:
        """Decide about every judged candidate that is not decided yet, in order."""
        candidates, verdicts = self._folder.candidates.read(), self._folder.verdicts.read()
        decided = {record.candidate_id: record for record in self._folder.novelty.read()}
        for candidate, verdict in list(zip(candidates, verdicts, strict=True))[self._settled :]:
            self._settled += 1
            if verdict.accuracy is None or candidate.program is None:
                continue
            shingles = self._run.store.get(candidate.program.shingles)
            if (record := decided.get(verdict.candidate_id)) is not None:
                self._admission.replay(record, shingles)
            else:
                record = self._admission.decide(
                    candidate_id=verdict.candidate_id, accuracy=verdict.accuracy, shingles=shingles
                )
                self._folder.novelty.append(record)
            self._observe(record)

    def _replay(self) -> None:
        """Show and take over what an earlier run of the program has already done."""
        folder = self._folder
        judged = len(folder.verdicts.read())
        folder.candidates.keep(judged, why="it has no verdict; it is evaluated again")
        for completion in folder.completions.read():
            self._observe(completion)
        for candidate, verdict in zip(folder.candidates.read(), folder.verdicts.read(), strict=True):
            self._observe(Evaluation(candidate=candidate, verdict=verdict))
        self._settle()

    def _admitted(self) -> list[bool]:
        """Whether each candidate judged so far, in order, was admitted."""
        admitted = {record.candidate_id for record in self._folder.novelty.read() if record.decision == "admitted"}
        return [verdict.candidate_id in admitted for verdict in self._folder.verdicts.read()]
