"""Walks a run's journal and holds every file of the run against it: the first thing that does not hold is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.config import Config
from orchestrator.errors import ConfigError, LedgerError
from orchestrator.records import Digest, Line, canonical, digest, file_digest
from orchestrator.run.adapter_files import digests
from orchestrator.run.chain import JOURNAL, Account, added_up, commitment, compared, read_chain, references
from orchestrator.run.disk import PARTIAL, read_bytes, read_lines
from orchestrator.run.folder import CycleFolder, RunFolder
from orchestrator.run.functional_duplicates import counted
from orchestrator.run.provenance import corpus_hash
from orchestrator.run.regrade import Graded, Labels, graded

RESUME = "resume the run, which sets it right and records that it did, and verify again"
LOGS = frozenset({"stdout", "stderr"})
SURROUNDINGS = ("image", "engine", "runtime", "seccomp")


@dataclass(frozen=True)
class Head:
    """The last line of a journal, to be kept elsewhere: `index` counts from 0."""

    index: int
    hash: Digest


@dataclass(frozen=True)
class Check:
    """One kind of thing that was checked, how many of it, and what a reader should know of it."""

    count: int
    what: str
    note: str = ""


def head(folder: Path) -> Head:
    """Return the last line of the journal of the run in `folder`, after checking its chain.

    Raises:
        LedgerError: there is no journal, or it is damaged.
    """
    _, account = _chain(folder)
    return Head(index=account.index - 1, hash=account.head)


def verify(
    folder: Path, *, labels: Callable[[Config], Labels] | None = None, expected: Digest | None = None
) -> list[Check]:
    """Check everything that the run in `folder` holds, and return what was checked.

    `labels` returns those of a run's protocol; without it no verdict is graded again. `expected` is the hash of a
    line of the journal that was kept elsewhere. Hold the run's lock, or the run must be at rest.

    Outside are llm.log and the lock, which no record refers to, and what no chain of hashes can show: whoever can
    write the whole folder can rewrite it all consistently, or cut off the end of a run that is not finished. Only a
    head that was kept elsewhere shows that.

    Raises:
        LedgerError: the first thing that does not hold; the message names the file, and the line if there is one.
    """
    hashes, account = _chain(folder)
    if expected is not None and expected not in hashes:
        raise LedgerError(f"{folder / JOURNAL}: has no line with the hash {expected}: its end was cut off or rewritten")
    run = _frozen(folder, account)
    lines = _check_ledgers(run, account)
    _check_key(folder, account)
    objects = _check_objects(folder)
    named, gone = _check_references(run, account)
    weights, unweighted = _check_weights(run, account)
    known = None if labels is None else labels(run.config)
    surroundings = _check_provenance(run, None if known is None else known.dataset)
    grades = list(_graded(run, known))
    _check_end(run, account)
    return [
        Check(account.index, "lines of the journal", _journal_note(account)),
        Check(lines, "lines of ledgers", "each is the one that was journalled"),
        Check(objects, "stored objects", "each has the digest that is its name"),
        Check(named, "references to objects", f"{gone:,} of them to pruned output" if gone else ""),
        Check(
            weights, "files of adapters", f"{unweighted:,} adapters were dropped, as announced" if unweighted else ""
        ),
        Check(surroundings, "lines of provenance"),
        Check(sum(one.verdicts for one in grades), "verdicts"),
        Check(
            sum(one.predictions for one in grades),
            "verdicts graded again from their predictions",
            "not done: without the data set's labels" if labels is None else "each accuracy is equal, bit for bit",
        ),
        Check(sum(one.decisions for one in grades), "decisions", "each follows from accuracy, neighbours and budget"),
    ]


def _chain(folder: Path) -> tuple[set[Digest], Account]:
    path = folder / JOURNAL
    if not path.exists():
        raise LedgerError(
            f"{path}: is missing: the run was made before runs had a journal, or somebody removed it;"
            " resuming the run starts one"
        )
    events, torn = read_chain(path)
    if torn or not events:
        raise LedgerError(f"{path}, line {len(events) + 1}: is torn after {torn} bytes; {RESUME}")
    return {event.hash for event in events}, added_up(events, path=path)


def _frozen(folder: Path, account: Account) -> RunFolder:
    file = folder / "config.json"
    if not file.is_file():
        raise LedgerError(f"{file}: is missing")
    seen = digest(read_bytes(file))
    if account.configs and seen not in account.configs[-2:]:
        raise LedgerError(f"{file}: was changed since {JOURNAL} recorded it; put the recorded file back")
    if seen not in account.configs[-1:]:  # a kill came between announcing more cycles and freezing them
        raise LedgerError(f"{file}: is not the last configuration that {JOURNAL} has; {RESUME}")
    try:
        return RunFolder.load(folder)
    except ConfigError as error:
        raise LedgerError(str(error)) from error


def _check_ledgers(run: RunFolder, account: Account) -> int:
    ledgers = list(run.ledgers())
    for path, number, _ in compared(run.path, [ledger.path for ledger in ledgers], account):
        raise LedgerError(
            f"{path}, line {number}: is not in {JOURNAL}: the run was killed before it could be, or the line was"
            f" added; {RESUME}"
        )
    for ledger in ledgers:
        lines = read_lines(ledger.path)
        ledger.read()
        if lines.torn:
            what = "stands after the end marker" if ledger.whole else f"is torn after {len(lines.torn)} bytes; {RESUME}"
            raise LedgerError(f"{ledger.path}, line {len(lines.whole) + 1}: {what}")
    return sum(len(noted) for noted in account.ledgers.values())


def _check_key(folder: Path, account: Account) -> None:
    path = folder / "key"
    if account.key is not None and path.exists() and commitment(read_bytes(path)) != account.key:
        raise LedgerError(f"{path}: is not the key that the run began with")


def _check_objects(folder: Path) -> int:
    count = 0
    for path in sorted((folder / "objects").rglob("*")):
        if path.is_dir() or path.name.startswith(PARTIAL):
            continue
        found = file_digest(path)
        if path.relative_to(folder / "objects").parts != (found[:2], found):
            raise LedgerError(f"{path}: its content does not have the digest that is its name")
        count += 1
    return count


def _check_references(run: RunFolder, account: Account) -> tuple[int, int]:
    """Return how many objects the ledgers refer to, and how many of these a policy dropped."""
    there = {path.name for path in (run.path / "objects").rglob("*")}
    count = gone = 0
    for ledger in run.ledgers():
        for number, record in enumerate(ledger.read(), start=1):
            for name, reference in _references(record):
                count += 1
                if reference in there:
                    continue
                if name not in LOGS or reference not in account.pruned:
                    raise LedgerError(f"{ledger.path}, line {number}: {name} {reference} is not stored")
                gone += 1
    return count, gone


def _references(record: Line) -> Iterator[tuple[str, Digest]]:
    yield from references(record.model_dump(mode="json", exclude={"messages", "text"})).items()


def _check_weights(run: RunFolder, account: Account) -> tuple[int, int]:
    """Return how many files adapters have, and how many adapters a policy dropped; a kill may have left some files."""
    count = gone = 0
    for folder in run.cycles():
        if not folder.adapter.read():
            continue
        if not account.knows_weights(folder.weights_name):
            raise LedgerError(f"{folder.weights}: its files were never recorded; {RESUME}")
        known = account.weights.get(folder.weights_name, {})
        found = digests(folder.weights)
        if folder.weights_name in account.without_weights:
            known = {name: known[name] for name in known.keys() & found.keys()}
            gone += 1
        for name in sorted(known.keys() | found.keys()):
            if known.get(name) != found.get(name):
                what = "is missing" if name not in found else "was added" if name not in known else "was changed"
                raise LedgerError(f"{folder.weights / name}: {what} since {JOURNAL} recorded the adapter")
        count += len(known)
    return count, gone


def _check_provenance(run: RunFolder, dataset: Digest | None) -> int:
    frozen = json.loads(read_bytes(run.path / "config.json"))  # an older version may have known other keys than ours
    configs = set()
    for cycles in range(1, run.config.cycles + 1):
        ours = run.config.model_copy(update={"cycles": cycles})
        configs |= {digest(canonical(frozen | {"cycles": cycles})), ours.hash()}
    records = run.provenance.read()
    corpus = corpus_hash(run.corpus.read())
    for number, record in enumerate(records, start=1):
        for what, holds in (
            ("config", record.config in configs),
            ("protocol", record.protocol == run.config.protocol.hash()),
            ("corpus", record.corpus == corpus),
            ("dataset", dataset is None or record.dataset == dataset),
        ):
            if not holds:
                raise LedgerError(f"{run.provenance.path}, line {number}: {what} is not the digest of what is here")
    _check_environments(run, [record.model_dump() for record in records])
    return len(records)


def _check_environments(run: RunFolder, provenance: list[dict[str, Any]]) -> None:
    known = [tuple(one[key] for key in SURROUNDINGS) for one in provenance]
    seen: set[Digest] = set()
    for folder in run.cycles() if known else ():
        for number, verdict in enumerate(folder.verdicts.read(), start=1):
            if verdict.environment in seen:
                continue
            seen.add(verdict.environment)
            where = f"{folder.verdicts.path}, line {number}"
            environment = json.loads(run.store.get(verdict.environment))
            if tuple(environment.get(key) for key in SURROUNDINGS) not in known:
                raise LedgerError(f"{where}: its environment is none that {run.provenance.path.name} has")


def _graded(run: RunFolder, labels: Labels | None) -> Iterator[Graded]:
    seeds = before = len(run.corpus.read())
    for folder in run.cycles():
        yield graded(folder, run.config, labels=labels, get=run.store.get, corpus=(seeds, before))
        _check_functional(run, folder)
        before += len(folder.entries.read())


def _check_functional(run: RunFolder, folder: CycleFolder) -> None:
    """Count the functional duplicates again; a summary from before they were counted knows of no fingerprint."""
    for summary in folder.summary.read():
        if summary.fingerprinted is None:
            continue
        derived = counted(run, folder.number)
        for key, value in (("functional_duplicates", derived.duplicates), ("fingerprinted", derived.fingerprinted)):
            if getattr(summary, key) != value:
                where = f"{folder.summary.path}, line 1"
                raise LedgerError(f"{where}: {key} is {getattr(summary, key)}; the ledgers make it {value}")


def _check_end(run: RunFolder, account: Account) -> None:
    whole = all(run.cycle(number).summary.whole for number in range(1, run.config.cycles + 1))
    if whole and not account.finished:
        raise LedgerError(
            f"{run.path / JOURNAL}, line {account.index + 1}: is missing: every cycle is whole, and no line says that"
            f" the run is finished; {RESUME}"
        )


def _journal_note(account: Account) -> str:
    note = "an unbroken chain"
    for count, what in ((account.reconciled, "recorded after a kill"), (account.dropped, "dropped, as announced")):
        note += f"; {count:,} lines of ledgers were {what}" if count else ""
    return note
