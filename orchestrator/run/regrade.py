"""Grades and counts of a finished or running cycle, derived again from what is stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.config import Config
from orchestrator.errors import LedgerError
from orchestrator.progress import Guessing
from orchestrator.records import Decision, Digest, Novelty, Tally, Verdict
from orchestrator.records.candidate import candidate_id
from orchestrator.run import grading, statistics
from orchestrator.run.folder import CycleFolder

Get = Callable[[Digest], bytes]
NOT_DERIVED = {"measured", "functional_duplicates", "fingerprinted"}  # seconds; and what needs the cycles before
ROUNDING = 1e-9


@dataclass(frozen=True)
class Labels:
    """The N validation labels of a data set in their own order, which is the order of stored predictions."""

    labels: npt.NDArray[np.integer]
    classes: int
    dataset: Digest

    def accuracy(self, predictions: bytes) -> float:
        """Return the share of right ones among N little-endian unsigned 16-bit class indices.

        Raises:
            ValueError: another number of predictions, or one that is no class.
        """
        return grading.accuracy(predictions, labels=self.labels, classes=self.classes)


@dataclass(frozen=True)
class Graded:
    """How many verdicts, predictions and decisions of a cycle were derived again and found equal."""

    verdicts: int
    predictions: int
    decisions: int


def graded(folder: CycleFolder, config: Config, *, labels: Labels | None, get: Get, corpus: tuple[int, int]) -> Graded:
    """Derive the grades, decisions and counts of a cycle again; without `labels`, accuracies are taken as they stand.

    `corpus` is the number of seeds, and of entries before the cycle. Neighbours are taken as they are recorded.

    Raises:
        LedgerError: something does not follow; the message names file and line.
    """
    _check_names(folder)
    verdicts = folder.verdicts.read()
    for number, verdict in enumerate(verdicts, start=1):
        _check_verdict(verdict, config, where=f"{folder.verdicts.path}, line {number}")
    predictions = _check_accuracies(folder, labels, get) if labels is not None else 0
    _check_decisions(folder, config)
    _check_entries(folder)
    _check_summary(folder, config, corpus=corpus)
    return Graded(verdicts=len(verdicts), predictions=predictions, decisions=len(folder.novelty.read()))


def _check_names(folder: CycleFolder) -> None:
    expected = [candidate_id(folder.number, index) for index in range(len(folder.completions.read()))]
    passed = [record.candidate_id for record in folder.verdicts.read() if record.accuracy is not None]
    for ledger, names in (
        (folder.completions, expected),
        (folder.candidates, expected),
        (folder.verdicts, expected),
        (folder.novelty, passed),
    ):
        found = [record.candidate_id for record in ledger.read()]
        for number, name in enumerate(found, start=1):
            due = names[number - 1] if number <= len(names) else "the end"
            if name != due:
                raise LedgerError(f"{ledger.path}, line {number}: is about {name}, where {due} was due")
        if ledger.whole and len(found) != len(names):
            raise LedgerError(f"{ledger.path}: is whole with {len(found)} of {len(names)} candidates")


def _check_verdict(verdict: Verdict, config: Config, *, where: str) -> None:
    passed = verdict.state == "passed"
    if (verdict.accuracy is not None) != passed or (verdict.predictions is not None) != passed:
        raise LedgerError(
            f"{where}: is {verdict.state}: a verdict has an accuracy and predictions where it passed only"
        )
    if verdict.protocol != config.protocol.hash():
        raise LedgerError(f"{where}: was given under another protocol than the run's")


def _check_accuracies(folder: CycleFolder, labels: Labels, get: Get) -> int:
    count = 0
    for number, verdict in enumerate(folder.verdicts.read(), start=1):
        if verdict.predictions is None:
            continue
        where = f"{folder.verdicts.path}, line {number}"
        try:
            accuracy = labels.accuracy(get(verdict.predictions))
        except ValueError as error:
            raise LedgerError(f"{where}: {verdict.candidate_id} cannot be graded again: {error}") from error
        if accuracy != verdict.accuracy:
            raise LedgerError(
                f"{where}: {verdict.candidate_id} has accuracy {verdict.accuracy}; its predictions are worth {accuracy}"
            )
        count += 1
    return count


def _check_decisions(folder: CycleFolder, config: Config) -> None:
    accuracies = {verdict.candidate_id: verdict.accuracy for verdict in folder.verdicts.read()}
    derived = decisions(folder.novelty.read(), config, cycle=folder.number)
    for number, (record, (decision, rejected)) in enumerate(zip(folder.novelty.read(), derived, strict=True), start=1):
        where = f"{folder.novelty.path}, line {number}"
        if record.accuracy != accuracies[record.candidate_id]:
            raise LedgerError(f"{where}: {record.candidate_id} has another accuracy than in its verdict")
        if (record.decision, record.rejection_count) != (decision, rejected):
            raise LedgerError(f"{where}: {record.candidate_id} was {record.decision}; its numbers make it {decision}")


def decisions(records: Iterable[Novelty], config: Config, *, cycle: int) -> Iterator[tuple[Decision, int | None]]:
    """Yield what the accuracy and the neighbours of each record make of it, and the rejections before an admission."""
    rule, tally = config.rule(cycle), Tally()
    for record in records:
        decision = rule.decide(tally, accuracy=record.accuracy, near=(record.train, record.generation))
        yield decision, tally.rejected if decision == "admitted" else None
        tally = tally.after(decision)


def _check_entries(folder: CycleFolder) -> None:
    sources = {candidate.candidate_id: candidate.source for candidate in folder.candidates.read()}
    admitted = [record for record in folder.novelty.read() if record.decision == "admitted"]
    entries = folder.entries.read()
    for number, (entry, record) in enumerate(zip(entries, admitted, strict=False), start=1):
        due = (record.candidate_id, sources[record.candidate_id], record.accuracy)
        if (entry.entry_id, entry.source, entry.accuracy) != due:
            raise LedgerError(f"{folder.entries.path}, line {number}: is not the program {due[0]} that was admitted")
    if len(entries) > len(admitted) or (folder.entries.whole and len(entries) != len(admitted)):
        raise LedgerError(f"{folder.entries.path}: has {len(entries)} entries for {len(admitted)} admitted programs")


def _check_summary(folder: CycleFolder, config: Config, *, corpus: tuple[int, int]) -> None:
    if not folder.summary.read():
        return
    (summary, *more), where = folder.summary.read(), f"{folder.summary.path}, line 1"
    if more:
        raise LedgerError(f"{folder.summary.path}, line 2: is a second summary")
    guessing = Guessing(summary.chance, summary.majority)
    derived = statistics.of_cycle(folder, config, corpus=corpus, guessing=guessing)
    found, due = (one.model_dump(exclude=NOT_DERIVED) for one in (summary, derived))
    for key, value in due.items():
        if not _equal(found[key], value):
            raise LedgerError(f"{where}: {key} is {found[key]}; the ledgers make it {value}")


def _equal(one: object, other: object) -> bool:
    """Whether two values are equal, numbers to rounding: versions of scipy differ in the last bits."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING)
    return one == other
