"""SQL over the ledgers of one or many runs: they are checked, then DuckDB reads them in place, and nothing else."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from orchestrator.errors import ConfigError, LedgerError
from orchestrator.escape import escaped
from orchestrator.progress import Report, silent
from orchestrator.run.disk import read_lines
from orchestrator.run.folder import RunFolder
from orchestrator.run.views import LEDGERS, VIEWS
from orchestrator.shipped import installing

if TYPE_CHECKING:
    import duckdb

PATTERN = re.compile(r"[*?\[]")
SAFE = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
}


Table: TypeAlias = Any  # a pandas.DataFrame or a pyarrow.Table: neither is needed before somebody asks for one


@dataclass(frozen=True)
class Answer:
    """The rows of a query, under the names of its columns."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


class Database:
    """The views of `orchestrator.run.views` over some runs. SQL that is given to it can read them and nothing else.

    The ledgers are loaded when it is made; after that no statement reaches a file, an extension or a setting.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
        self._connection = connection
        self._scratch = scratch

    def ask(self, sql: str) -> Answer:
        """Return the rows of one SELECT.

        Raises:
            ConfigError: the SQL is wrong, is more than one statement, or asks for anything but rows.
        """
        with _named():
            self._check(sql)
            answer = self._connection.execute(sql)
            return Answer(tuple(name for name, *_ in answer.description or ()), answer.fetchall())

    def parquet(self, sql: str) -> bytes:
        """Return the rows of one SELECT as a Parquet file."""
        with _named():
            self._check(sql)
            self._connection.execute(
                f"COPY ({sql.rstrip().rstrip(';')}\n) TO {_quoted(self._scratch)} (FORMAT parquet)"
            )
            return self._scratch.read_bytes()

    def table(self, sql: str, *, kind: Literal["pandas", "arrow"]) -> Table:
        """Return the rows of one SELECT as a pandas.DataFrame or a pyarrow.Table.

        Raises:
            ConfigError: as `ask`; or the package is missing.
        """
        package = {"pandas": "pandas", "arrow": "pyarrow"}[kind]
        if find_spec(package) is None:
            raise ConfigError(f"a table of kind {kind} needs {package}: {installing('frames')}")
        with _named():
            self._check(sql)
            rows = self._connection.sql(sql)
            return rows.df() if kind == "pandas" else rows.to_arrow_table()

    def _check(self, sql: str) -> None:
        import duckdb

        statements = self._connection.extract_statements(sql)
        allowed = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
        if len(statements) != 1 or statements[0].type not in allowed:
            raise ConfigError("query: write one SELECT; `--views` lists what there is to select from")


@contextmanager
def opened_database(runs: Mapping[str, Path], *, report: Report = silent) -> Iterator[Database]:
    """Load the ledgers of `runs`, run folders by name, and give them to SQL; `report` is told of torn last lines.

    Raises:
        ConfigError: a folder holds no run.
        LedgerError: a ledger holds something else than its records; the message names file and line.
    """
    import duckdb

    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="query-")))
        connection = stack.enter_context(duckdb.connect(config=dict(SAFE)))
        files = _files({name: RunFolder.load(folder, report=report) for name, folder in runs.items()}, scratch)
        for name, columns in LEDGERS.items():
            _load(connection, name, columns, files=[file for file in files if file.ledger == name])
        for view in VIEWS:
            connection.execute(f"CREATE VIEW {view.name} AS {view.sql}")
        target = scratch / "answer.parquet"
        connection.execute(f"SET allowed_paths = [{_quoted(target)}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield Database(connection, target)


def _quoted(path: Path) -> str:
    """Return a path as a string of SQL."""
    return "'" + str(path).replace("'", "''") + "'"


@dataclass(frozen=True)
class File:
    """A ledger of a run's cycle, 0 for the seed corpus: its name, and where to read it."""

    run: str
    cycle: int
    ledger: str
    path: Path


def _files(runs: Mapping[str, RunFolder], scratch: Path) -> list[File]:
    """Check every ledger and return it; one whose last line was torn by a kill is a copy without that line."""
    found: list[File] = []
    for name, run in runs.items():
        ledgers = [(0, run.corpus)] + [(cycle.number, ledger) for cycle in run.cycles() for ledger in cycle.ledgers]
        for cycle, ledger in ledgers:
            if ledger.path.stem in LEDGERS and ledger.path.exists():
                ledger.read()  # DuckDB takes a record that lacks a field, or has one too many
                path, lines = ledger.path, read_lines(ledger.path)
                if lines.torn or PATTERN.search(str(path)):  # DuckDB would look for files of that pattern
                    path = scratch / f"{len(found)}.jsonl"
                    path.write_bytes(b"".join(line + b"\n" for line in lines.whole))
                found.append(File(name, cycle, ledger.path.stem, path))
    return found


def _load(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    columns: Mapping[str, str],
    *,
    files: Sequence[File],
) -> None:
    """Read ledgers of one name into a table `ledger_<name>` with the run and the cycle of each record."""
    import duckdb

    types = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    connection.execute(f"CREATE TABLE ledger_{name} (run VARCHAR, cycle BIGINT, {types})")
    if not files:
        return
    known = ", ".join(f"'{column}': '{kind}'" for column, kind in {"kind": "VARCHAR", **columns}.items())
    wanted = ", ".join(f"read.{column}" for column in columns)
    try:
        connection.execute(
            "WITH files AS (SELECT unnest($runs) AS run, unnest($cycles) AS cycle, unnest($paths) AS path,"  # noqa: S608 - names of ours
            " unnest(range(len($paths))) AS place)"
            f" INSERT INTO ledger_{name} SELECT files.run, files.cycle, {wanted}"
            f" FROM read_json($paths, format = 'newline_delimited', columns = {{{known}}}, filename = 'path') AS read"
            f" JOIN files USING (path) WHERE read.kind <> 'end' ORDER BY place, {next(iter(columns))}",
            {
                "runs": [file.run for file in files],
                "cycles": [file.cycle for file in files],
                "paths": [str(file.path) for file in files],
            },
        )
    except duckdb.Error as error:
        raise LedgerError(f"{name}.jsonl: {escaped(str(error))}; `orchestrate audit verify` says more") from error


@contextmanager
def _named() -> Iterator[None]:
    """Turn what DuckDB says of the SQL into one message; it may quote what candidates wrote."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise ConfigError(f"query: {escaped(str(error).strip())}") from error
