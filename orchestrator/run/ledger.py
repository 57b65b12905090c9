"""Append-only JSON Lines files of records, whole once their end marker stands, and the lock on a run's folder."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import accumulate
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from pydantic import ValidationError

from orchestrator.errors import InfrastructureError, LedgerError, issues
from orchestrator.progress import Report, silent
from orchestrator.records import SCHEMA, End, Line, canonical
from orchestrator.run.disk import Lines, append, read_lines

R = TypeVar("R", bound=Line)


class Witness(Protocol):
    """Learns of every line that ledgers write, once it is on the disk, and of every one that they drop, before."""

    def wrote(self, path: Path, *, first: int, lines: Sequence[bytes]) -> None:
        """Take note of `lines`, each without its newline; `first` is the number of the first, from 1."""
        ...

    def drops(self, path: Path, *, kept: int, why: str) -> None:
        """Take note that all lines but the first `kept` are about to go."""
        ...


class Ledger(Generic[R]):
    """One ledger file: records of one type, one a line, then an `End` line when it is whole.

    A line without its newline at the end of the file was torn by a kill: it is dropped and `report` is told. Any
    other damage raises LedgerError with file and line. One process writes a ledger at a time (see `run_lock`); a
    reader of a ledger that is still being written sees its whole lines. `witness` learns of what is written.
    """

    def __init__(self, path: Path, record: type[R], *, report: Report = silent, witness: Witness | None = None) -> None:
        self.path = path
        self._record = record
        self._report = report
        self._witness = witness
        self._records: list[R] | None = None
        self._ends: list[int] = []
        self._whole = False
        self._size = 0
        self._torn = 0

    def read(self) -> Sequence[R]:
        """Return every record in order.

        Raises:
            LedgerError: a line that is not such a record, a wrong end marker, or anything after it.
        """
        return tuple(self._load())

    @property
    def whole(self) -> bool:
        """Whether the end marker stands: the ledger is then never computed or written again."""
        self._load()
        return self._whole

    def append(self, record: R) -> None:
        """Write one record; it is on the disk when this returns."""
        self.extend((record,))

    def extend(self, records: Sequence[R]) -> None:
        """Write `records` in one go; they are on the disk when this returns."""
        present = self._load()
        lines = [_encode(record) for record in records]
        ends = list(accumulate((len(line) for line in lines), initial=self._size))[1:]
        self._write(lines)
        self._ends += ends
        present.extend(records)
        self._testify(lines, first=len(self._ends) - len(lines) + 1)

    def finish(self) -> None:
        """Write the end marker: the ledger is whole."""
        line = _encode(End(records=len(self._load())))
        self._write([line])
        self._whole = True
        self._testify([line], first=len(self._ends) + 1)

    def keep(self, count: int, *, why: str) -> None:
        """Drop all but the first `count` records of a ledger that is not whole, and report `why`.

        For a group of records that only counts together (a chunk of completions) and was torn by a kill.
        """
        records = self._load()
        if count >= len(records):
            return
        if self._whole:
            raise LedgerError(f"{self.path}: is whole; none of its records may be dropped")
        self._report(f"{self.path}: dropped the last {len(records) - count} records: {why}")
        self._announce(kept=count, why=why)
        self._size = self._ends[count - 1] if count else 0
        del records[count:], self._ends[count:]
        self._write([])

    def _load(self) -> list[R]:
        if self._records is None:
            self._records = self._parse(read_lines(self.path))
        return self._records

    def _parse(self, lines: Lines) -> list[R]:
        self._size, self._torn = lines.size, len(lines.torn)
        if self._torn:
            self._report(f"{self.path}: left out a torn last line of {self._torn} bytes; a resume computes it again")
        records: list[R] = []
        end = 0
        for number, line in enumerate(lines.whole, start=1):
            end += len(line) + 1
            where = f"{self.path}, line {number}"
            if self._whole:
                raise LedgerError(f"{where}: stands after the end marker")
            if _kind(line, where) == "end":
                self._whole = _end(line, where).records == len(records)
                if not self._whole:
                    raise LedgerError(f"{where}: the end marker counts other than the {len(records)} records before it")
                continue
            try:
                records.append(self._record.model_validate_json(line))
            except ValidationError as error:
                raise LedgerError(f"{where}: not a {self._record.__name__}: {next(issues(error))}") from error
            self._ends.append(end)
        return records

    def _write(self, lines: Sequence[bytes]) -> None:
        """Write `lines` after what is there; a disk that refuses leaves the file as it was."""
        self._load()
        if self._whole:
            raise LedgerError(f"{self.path}: is whole and never written again")
        if self._torn:
            self._announce(kept=len(self._ends), why=f"a torn last line of {self._torn} bytes")
        append(self.path, b"".join(lines), after=self._size)
        self._size += sum(len(line) for line in lines)

    def _announce(self, *, kept: int, why: str) -> None:
        self._torn = 0
        if self._witness is not None:
            self._witness.drops(self.path, kept=kept, why=why)

    def _testify(self, lines: Sequence[bytes], *, first: int) -> None:
        if self._witness is not None and lines:
            self._witness.wrote(self.path, first=first, lines=[line[:-1] for line in lines])


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold the one lock on a run's folder.

    Raises:
        InfrastructureError: another process holds it; the message names its pid and host.
    """
    path = folder / "lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise InfrastructureError(f"{folder}: {holder} is working on this run; wait for it or stop it") from error
        if not path.exists() or path.stat().st_ino != os.fstat(file.fileno()).st_ino:  # its holder has just removed it
            raise InfrastructureError(f"{folder}: was removed by the process that began it; run the command again")
        file.truncate(0)
        file.write(f"pid {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def reading_lock(folder: Path) -> AbstractContextManager[None]:
    """Return the run's lock if this user can take it, so that nobody writes meanwhile; else nothing."""
    return run_lock(folder) if os.access(folder, os.W_OK) else nullcontext()


def _encode(record: Line) -> bytes:
    return canonical(record.model_dump(mode="json")) + b"\n"


def _kind(line: bytes, where: str) -> str:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LedgerError(f"{where}: not JSON: {error}") from error
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        raise LedgerError(f"{where}: not a record: it has no kind")
    if value.get("schema_version") != SCHEMA:
        raise LedgerError(f"{where}: schema version {value.get('schema_version')}; this program reads {SCHEMA}")
    return str(value["kind"])


def _end(line: bytes, where: str) -> End:
    try:
        return End.model_validate_json(line)
    except ValidationError as error:
        raise LedgerError(f"{where}: a damaged end marker: {next(issues(error))}") from error
