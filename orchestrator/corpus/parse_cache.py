"""What the parser said of the programs of a corpus, kept in one file, so that no program is parsed twice."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from pydantic import ValidationError

from orchestrator.errors import InfrastructureError
from orchestrator.records import Digest, canonical, digest
from orchestrator.sandbox import Parsed
from orchestrator.sandbox.parser import Findings

KEPT = 4  # files: those of the parsers that were used last
SIZE_LIMIT = 512 << 20  # bytes of a file, beyond which nothing is added to it
TOGETHER = 500  # inspections that are written in one transaction
LASTING = frozenset({"ok", "syntax_error", "contract"})  # what a parser would say again; the rest may be bad luck
LOCK_SECONDS = 10.0  # to wait while another build writes
TABLE = (
    "create table if not exists inspections"
    " (key blob primary key, checksum text, findings blob, program blob, stripped blob, shingles blob) without rowid"
)

Row = tuple[bytes, Digest, bytes, bytes | None, bytes | None, bytes]


class Inspect(Protocol):
    """Inspects many programs, in order, somewhere where hostile text does no harm."""

    def __call__(self, sources: Iterable[bytes], *, complete: bool, strip: bool, compact: bool) -> Iterable[Parsed]:
        """Return one reply for each source."""
        ...


class Inspections:
    """Answers for `inspect` if a program was inspected before; a context manager.

    `parser` names all that an answer depends on beside the program and the switches: another parser has another file.
    What is damaged or cannot be read is inspected again; what cannot be written is not kept.
    """

    def __init__(self, inspect: Inspect, *, folder: Path, parser: Digest) -> None:
        self._inspect = inspect
        self._path = folder / f"{parser}.sqlite"

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._open()
            os.utime(self._path)
            files = sorted(self._path.parent.glob("*.sqlite"), key=lambda path: path.stat().st_mtime, reverse=True)
            for old in files[KEPT:]:
                old.unlink()
        except (OSError, sqlite3.Error) as error:
            raise InfrastructureError(f"{self._path}: cannot be opened: {error}; remove it and try again") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def parse_all(
        self, sources: Iterable[bytes], *, complete: bool, strip: bool = False, compact: bool = False
    ) -> Iterator[Parsed]:
        """Yield one reply for each source, in order, and keep those that were not known."""
        wanted = list(sources)
        switches = {"complete": complete, "strip": strip, "compact": compact}
        prefix = hashlib.sha256(canonical(switches)).digest()
        keys = [hashlib.sha256(prefix + source).digest() for source in wanted]
        known = self._known(dict(zip(keys, wanted, strict=True)))
        unknown = {key: source for key, source in zip(keys, wanted, strict=True) if key not in known}
        replies = iter(self._inspect(unknown.values(), **switches))
        fresh: list[Row] = []
        try:
            for key, source in zip(keys, wanted, strict=True):
                if key not in known:
                    known[key] = next(replies)
                    if known[key].state in LASTING:
                        fresh.append(_row(key, source, known[key]))
                    if len(fresh) == TOGETHER:
                        self._keep(fresh)
                        fresh = []
                yield known[key]
        finally:
            self._keep(fresh)

    def _known(self, wanted: dict[bytes, bytes]) -> dict[bytes, Parsed]:
        found: dict[bytes, Parsed] = {}
        try:
            for key, source in wanted.items():
                row = self._file.execute("select * from inspections where key = ?", (key,)).fetchone()
                parsed = None if row is None else _parsed(row, source)
                if parsed is not None:
                    found[key] = parsed
        except sqlite3.OperationalError:  # somebody else is busy with the file
            return found
        except sqlite3.DatabaseError:  # the file is damaged: it is begun anew
            self._file.close()
            self._path.unlink(missing_ok=True)
            self._file = self._open()
        return found

    def _keep(self, rows: list[Row]) -> None:
        with contextlib.suppress(sqlite3.Error, OSError), self._file:
            if self._path.stat().st_size < SIZE_LIMIT:
                self._file.executemany("insert or replace into inspections values (?, ?, ?, ?, ?, ?)", rows)

    def _open(self) -> sqlite3.Connection:
        try:
            return _connected(self._path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # no database any more
            self._path.unlink()
            return _connected(self._path)


def _connected(path: Path) -> sqlite3.Connection:
    """Open the file. Its writes survive the death of a process; they need not survive that of the machine."""
    file = sqlite3.connect(path, timeout=LOCK_SECONDS)
    try:
        file.execute("pragma synchronous = off")
        file.execute(TABLE)
    except BaseException:
        file.close()
        raise
    return file


def _row(key: bytes, source: bytes, parsed: Parsed) -> Row:
    """Return what is written of one reply; the program is left out if it is the source."""
    said = {name: getattr(parsed, name) for name in Findings.model_fields}
    findings = Findings(**said).model_dump_json().encode()
    program = None if parsed.program == source else parsed.program
    content = (findings, program, parsed.stripped, parsed.shingles)
    return key, _checksum(key, *content), *content


def _parsed(row: Row, source: bytes) -> Parsed | None:
    """Return the reply that `row` holds, or None if it is damaged."""
    key, checksum, findings, program, stripped, shingles = row
    try:
        if checksum != _checksum(key, findings, program, stripped, shingles):
            return None
        found = Findings.model_validate_json(findings)
    except (TypeError, ValidationError):
        return None
    return Parsed(program=source if program is None else program, stripped=stripped, shingles=shingles, **dict(found))


def _checksum(*columns: bytes | None) -> Digest:
    """Return what tells a damaged row: SQLite looks at no content, and with `synchronous` off a power cut may tear it.

    A wrong shingle would decide about near-duplicates unseen. The sums take 3 % of a build that inspects nothing.
    """
    return digest(canonical([None if column is None else digest(column) for column in columns]))
