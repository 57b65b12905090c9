"""A run as data: its records, its stored texts, and tables over its ledgers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.config import Config
from orchestrator.errors import ChangedWarning, ConfigError, LedgerError
from orchestrator.progress import Report, silent
from orchestrator.records import (
    Adapter,
    Candidate,
    Completion,
    CycleSummary,
    Digest,
    Entry,
    Novelty,
    Provenance,
    Verdict,
    digest,
)
from orchestrator.run.chain import JOURNAL, added_up, compared, read_chain
from orchestrator.run.disk import read_bytes
from orchestrator.run.folder import CycleFolder, RunFolder
from orchestrator.shipped import runs_folder

if TYPE_CHECKING:
    from orchestrator.run.query import Table

View = Literal["candidates", "verdicts", "cycles", "corpus"]


def open_run(run: str | Path, *, runs: str | Path | None = None, report: Report = silent) -> Run:
    """Return a run as data, finished or not; nothing is written, and nothing of it is run.

    `run` is its folder, or its name under `runs` (else ORCHESTRATE_RUNS, else `./runs`). `report` is told of a torn
    last line, which a kill may leave.

        run = orchestrator.open_run("quickstart")
        best = max(run.verdicts(), key=lambda verdict: verdict.accuracy or 0.0)
        print(run.source(best.candidate_id).decode())
        run.frame("candidates").groupby("state")["accuracy"].mean()

    Raises:
        ConfigError: there is no such run.

    Warns:
        ChangedWarning: the ledgers contradict the journal: somebody changed them after they were written.
    """
    folder = RunFolder.load(find_run(run, runs_folder(runs)), report=report)
    if (changed := contradiction(folder)) is not None:
        warnings.warn(changed, ChangedWarning, stacklevel=2)
    return Run(folder)


def find_run(run: str | Path, runs: Path) -> Path:
    """Return the folder of a run: `run` itself, or the one of that name in `runs`.

    Raises:
        ConfigError: there is none; the message names those that there are.
    """
    for folder in (Path(run), runs / run):
        if (folder / "config.json").is_file():
            return folder
    known = sorted(path.parent.name for path in runs.glob("*/config.json"))
    close = get_close_matches(str(run), known, n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    there = f"{runs} has {', '.join(known)}." if known else f"there is no run in {runs}: `orchestrate cycle` makes one."
    raise ConfigError(f"{runs / run}: holds no run (no config.json).{meant} {there[0].upper()}{there[1:]}")


def contradiction(run: RunFolder) -> str | None:
    """Return how the ledgers of a run contradict its journal, with file and line, or None if they agree.

    The stored objects are not looked at, and nothing is graded again: `orchestrator.run.verify` does that. A run that
    is being written, or that has no journal, contradicts nothing.
    """
    journal = run.path / JOURNAL
    if not journal.exists():
        return None
    try:
        events, _ = read_chain(journal)
        account = added_up(events, path=journal)
        if account.configs and digest(read_bytes(run.path / "config.json")) not in account.configs[-2:]:
            return f"{run.path / 'config.json'}: was changed since {JOURNAL} recorded it"
        compared(run.path, [ledger.path for ledger in run.ledgers()], account)
    except LedgerError as error:
        return str(error)
    return None


class Run:
    """What the ledgers of one run hold, as frozen records in the order in which they were written.

    Methods that take a `cycle` (counted from 1) give the records of that one, else of all that have begun. Every one
    raises LedgerError, which names file and line, if a ledger is damaged.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self._folder.path

    @property
    def name(self) -> str:
        """The run's name, which is its folder's."""
        return self._folder.name

    @property
    def config(self) -> Config:
        """The configuration that the run was frozen with."""
        return self._folder.config

    def cycles(self) -> tuple[CycleSummary, ...]:
        """Return the summary of every complete cycle: counts, and shares and accuracies from 0 to 1."""
        return tuple(one for folder in self._folder.cycles() if folder.summary.whole for one in folder.summary.read())

    def completions(self, cycle: int | None = None) -> tuple[Completion, ...]:
        """Return what the language model wrote, one for each candidate."""
        return tuple(one for folder in self._of(cycle) for one in folder.completions.read())

    def candidates(self, cycle: int | None = None) -> tuple[Candidate, ...]:
        """Return the programs as they were understood before anything of them ran."""
        return tuple(one for folder in self._of(cycle) for one in folder.candidates.read())

    def verdicts(self, cycle: int | None = None) -> tuple[Verdict, ...]:
        """Return the host's judgement of each candidate; `accuracy` is from 0 to 1, or None unless it passed."""
        return tuple(one for folder in self._of(cycle) for one in folder.verdicts.read())

    def novelty(self, cycle: int | None = None) -> tuple[Novelty, ...]:
        """Return what was decided about each valid candidate, with its nearest neighbours."""
        return tuple(one for folder in self._of(cycle) for one in folder.novelty.read())

    def adapters(self) -> tuple[Adapter, ...]:
        """Return the record of each LoRA adapter that was trained."""
        return tuple(one for folder in self._of(None) for one in folder.adapter.read())

    def corpus(self) -> tuple[Entry, ...]:
        """Return the chat pairs that the model learns from: the seeds, then what each cycle admitted."""
        admitted = (one for folder in self._of(None) for one in folder.entries.read())
        return (*self._folder.corpus.read(), *admitted)

    def provenance(self) -> tuple[Provenance, ...]:
        """Return with what the run was made, a record for each change of it."""
        return tuple(self._folder.provenance.read())

    def source(self, candidate_id: str) -> bytes | None:
        """Return the program of a candidate as the model wrote it, which is untrusted code; None if it wrote none.

        Raises:
            ConfigError: the run has no such candidate.
        """
        for candidate in self.candidates():
            if candidate.candidate_id == candidate_id:
                return None if candidate.source is None else self.object(candidate.source)
        raise ConfigError(f"{self.path}: has no candidate {candidate_id}")

    def object(self, name: Digest) -> bytes:
        """Return a stored object by its SHA-256, as records name sources, predictions and captured output.

        Raises:
            LedgerError: it is not there (captured output may have been pruned), or is no longer what its name says.
        """
        return self._folder.store.get(name)

    def frame(self, view: View = "candidates", *, kind: Literal["pandas", "arrow"] = "pandas") -> Any:
        """Return one of the SQL views as a table, a row for each candidate, verdict, cycle or entry.

        It is a pandas.DataFrame, or a pyarrow.Table; `orchestrate audit query --views` lists the columns.
        Accuracies are shares from 0 to 1, times seconds, sizes bytes.

        Raises:
            ConfigError: there is no such view, or the package for that kind of table is missing.
        """
        return self.query(f'FROM "{view}"', kind=kind)

    def query(self, sql: str, *, kind: Literal["pandas", "arrow"] = "pandas") -> Table:
        """Return the rows of one SELECT over the views, in DuckDB's SQL, as a table.

        Raises:
            ConfigError: the SQL is wrong or asks for anything but rows, or the package for that kind is missing.
        """
        from orchestrator.run.query import opened_database

        with opened_database({self.name: self.path}) as database:
            return database.table(sql, kind=kind)

    def _of(self, cycle: int | None) -> Iterator[CycleFolder]:
        return (folder for folder in self._folder.cycles() if cycle in {None, folder.number})
