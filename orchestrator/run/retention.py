"""What a run takes on disk, and what may go: captured output that nothing else refers to, and adapters of the past."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from orchestrator.errors import InfrastructureError
from orchestrator.records import Digest, Verdict
from orchestrator.run.chain import JOURNAL, references
from orchestrator.run.folder import CycleFolder, RunFolder

LogsOf = Literal["failed", "valid", "all"]
OBJECTS = {  # the kind of what each field of a record refers to; output comes last, so a copy counts as the original
    "source": "sources",
    "runs": "sources",
    "shingles": "shingles",
    "prompt": "prompts",
    "environment": "environments",
    "predictions": "predictions",
    "stdout": "logs",
    "stderr": "logs",
}
KINDS = ("ledgers", "journal", *dict.fromkeys(OBJECTS.values()), "other objects", "adapters", "other files")
NAMED = re.compile(rb'"([0-9a-f]{64})"')
BATCH = 200  # digests that one line of the journal names
DROPPED = "adapter.dropped"  # what an adapter is called while it is removed


@dataclass
class Usage:
    """How many files of one kind a run has, and their bytes."""

    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Policy:
    """Which captured output may go: of candidates that ended so, with a verdict older than `before` (UTC)."""

    logs_of: LogsOf
    before: datetime

    def covers(self, verdict: Verdict, at: datetime) -> bool:
        """Whether the output of `verdict`, which was given `at`, may go."""
        wanted = {"failed": verdict.state != "passed", "valid": verdict.state == "passed", "all": True}
        return wanted[self.logs_of] and at < self.before


@dataclass(frozen=True)
class Plan:
    """The objects that a policy drops, with their bytes, in the order of the ledgers; and those others refer to."""

    dropped: dict[Digest, int] = field(default_factory=dict)
    shared: frozenset[Digest] = frozenset()


def sizes(run: RunFolder) -> dict[str, Usage]:
    """Return what the files of the run's folder take, by kind; every file counts once, under the first kind it has."""
    kinds = _object_kinds(run)
    usage = {kind: Usage() for kind in KINDS}
    for path in sorted(run.path.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        found = usage[_kind(path.relative_to(run.path), kinds)]
        found.files += 1
        found.bytes += path.stat().st_size
    return usage


def plan(run: RunFolder, policy: Policy, *, moments: Mapping[str, datetime]) -> Plan:
    """Return what `policy` drops; `moments` dates verdicts by candidate id, its ledger's last change the others."""
    chosen: dict[Digest, None] = {}
    kept: set[Digest] = set()
    for folder in run.cycles():
        verdicts = folder.verdicts.read()
        changed = _changed(folder) if verdicts else datetime.now(tz=UTC)
        for verdict in verdicts:
            logs = [name for name in (verdict.measured.stdout, verdict.measured.stderr) if name is not None]
            if policy.covers(verdict, moments.get(verdict.candidate_id, changed)):
                chosen |= dict.fromkeys(logs)
                verdict = verdict.model_copy(update={"measured": _without_logs(verdict)})  # noqa: PLW2901 - the rest of it
            else:
                kept |= set(logs)
            kept |= _names(verdict.model_dump_json().encode())
    for path in run.path.rglob("*.jsonl"):
        if path.name not in {JOURNAL, "verdicts.jsonl"}:
            kept |= _names(path.read_bytes())
    there = {name: run.store.path(name).stat().st_size for name in chosen if run.store.path(name).exists()}
    return Plan(
        dropped={name: size for name, size in there.items() if name not in kept},
        shared=frozenset(there.keys() & kept),
    )


def prune(run: RunFolder, planned: Plan, *, policy: Policy) -> None:
    """Drop what `policy` planned, in batches: each is in the run's journal before anything of it is deleted.

    Hold the run's lock, and open the run for writing.

    Raises:
        InfrastructureError: the disk refused it; what was recorded and is still there is dropped by the next time.
    """
    names = list(planned.dropped)
    for start in range(0, len(names), BATCH):
        batch = names[start : start + BATCH]
        run.record("prune", {"logs_of": policy.logs_of, "before": policy.before.isoformat(), "objects": batch})
        for name in batch:
            path = run.store.path(name)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise InfrastructureError(f"{path}: cannot be dropped: {error}") from error


def spent(run: RunFolder) -> list[CycleFolder]:
    """Return the finished cycles whose adapter is there and is not what a later cycle of `run` samples or trains from.

    By default every cycle trains from the base model on the whole corpus, and needs none of an earlier one.
    """
    whole = [folder for folder in run.cycles() if folder.summary.whole]
    needed = set()
    if len(whole) < run.config.cycles:
        needed |= {1} if not run.config.llm.iterate else set()
        needed |= {len(whole)} if run.config.llm.continue_adapter else set()
    return [folder for folder in whole if folder.number not in needed and folder.weights.is_dir()]


def drop_adapters(run: RunFolder, folders: Sequence[CycleFolder]) -> None:
    """Remove the adapters of `folders`, once the run's journal has it; their ledgers keep what they were.

    Hold the run's lock, and open the run for writing.

    Raises:
        InfrastructureError: the disk refused it; what was recorded and is still there is dropped by the next time.
    """
    if folders:
        run.record("prune", {"adapters": [folder.weights_name for folder in folders]})
    for folder in folders:
        try:
            folder.weights.rename(folder.path / DROPPED)  # so that no half of an adapter passes for one
        except OSError as error:
            raise InfrastructureError(f"{folder.weights}: cannot be dropped: {error}") from error
    for left in sorted(run.path.glob(f"cycle-*/{DROPPED}")):  # a kill may have left some of an earlier time
        try:
            shutil.rmtree(left)
        except OSError as error:
            raise InfrastructureError(f"{left}: cannot be dropped: {error}") from error


def _without_logs(verdict: Verdict) -> object:
    return verdict.measured.model_copy(update={"stdout": None, "stderr": None})


def _changed(folder: CycleFolder) -> datetime:
    return datetime.fromtimestamp(folder.verdicts.path.stat().st_mtime, tz=UTC)


def _names(content: bytes) -> set[Digest]:
    """Return everything in JSON text that could be the name of an object."""
    return {name.decode("ascii") for name in NAMED.findall(content)}


def _object_kinds(run: RunFolder) -> dict[Digest, str]:
    """Return the kind of each object that the ledgers name."""
    order = list(OBJECTS)
    named = [
        (order.index(field), name)
        for ledger in run.ledgers()
        for record in ledger.read()
        for field, name in references(record.model_dump(mode="json")).items()
    ]
    kinds: dict[Digest, str] = {}
    for place, name in sorted(named):
        kinds.setdefault(name, OBJECTS[order[place]])
    return kinds


def _kind(path: Path, kinds: Mapping[Digest, str]) -> str:
    """Return the kind of the file at `path`, relative to the run's folder."""
    top = path.parts[0]
    if top == "objects":
        return kinds.get(path.name, "other objects")
    if len(path.parts) > 2 and path.parts[1].startswith("adapter"):  # noqa: PLR2004 - a cycle, its adapter, a file
        return "adapters"
    if path.name == JOURNAL:
        return "journal"
    return "ledgers" if path.suffix == ".jsonl" else "other files"
