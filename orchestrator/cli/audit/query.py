"""`orchestrate audit query`: SQL over the ledgers of one or many runs."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.options import NEW_FILE, data, runs_option, several, tell
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from orchestrator.run.query import Answer

CELL = 100  # characters of a text in a table that goes to no terminal
FORMATS = ("table", "csv", "json", "parquet")


def _print_views(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's own signature
    """Print every view with its columns, and end."""
    from orchestrator.run.views import VIEWS

    del parameter
    if not value:
        return
    width = max(len(column.name) for view in VIEWS for column in view.columns)
    for view in VIEWS:
        click.echo(f"{view.name}: {view.row}")
        for column in view.columns:
            click.echo(f"  {column.name:<{width}}  {column.meaning}")
        click.echo()
    context.exit()


@click.command("query", short_help="Ask the ledgers in SQL.")
@click.argument("arguments", nargs=-1, required=True, metavar="RUN... SQL")
@click.option("--format", "kind", type=click.Choice(FORMATS), default="table", show_default=True, help="How rows come.")
@click.option("--out", type=NEW_FILE, help="Write them to this file.")
@click.option(
    "--views", is_flag=True, is_eager=True, expose_value=False, callback=_print_views, help="List all columns and end."
)
@runs_option
def audit_query(*, arguments: tuple[str, ...], kind: str, out: Path | None, runs: Path) -> None:
    """Answer one SELECT over the ledgers of RUN..., in DuckDB's SQL; each row names its run.

    The views are candidates, verdicts, cycles and corpus; --views lists their columns. SQL reads these and nothing
    else: no file, no extension, no setting.

    A table is escaped and cut to the screen; its cells are cut to 100 characters if it goes elsewhere, and not at all
    in a file that --out names. json (one object a line) is ASCII, so neither acts on a terminal. csv and
    parquet carry texts as they are, except csv to a terminal, which is escaped.
    """
    from orchestrator.cli.audit.columns import screen
    from orchestrator.run.query import opened_database

    *names, sql = arguments
    if not names:
        raise click.UsageError("name a run and then the SQL: orchestrate audit query RUN... 'SELECT ...'")
    folders = {name: folder.path for name, folder in several(names, runs).items()}
    with opened_database(folders, report=tell) as database:
        if kind == "parquet":
            _send(database.parquet(sql), out)
            return
        answer = database.ask(sql)
    if kind == "json" and len(set(answer.columns)) < len(answer.columns):
        raise ConfigError("query: two columns have one name, which JSON cannot hold: name each with AS")
    if out is not None:
        text = "".join(f"{line}\n" for line in _lines(answer, kind, width=None, escape=False))
        _write(text.encode(), out)
        return
    console = data()
    width = screen(console)
    for line in _lines(answer, kind, width=width, escape=console.is_terminal, most=None if width else CELL):
        click.echo(line)


def _write(content: bytes, out: Path) -> None:
    """Write all of a file or leave what was there; what is no file, as /dev/stderr, is written to as it stands."""
    whole = out.is_file() or not out.exists()
    target = out.with_name(f"{out.name}.part") if whole else out
    try:
        target.write_bytes(content)
        if whole:
            target.replace(out)
    except OSError as error:
        if whole:
            target.unlink(missing_ok=True)
        raise ConfigError(f"--out {out}: cannot be written: {error.strerror}") from error


def _send(content: bytes, out: Path | None) -> None:
    """Give Parquet to a file or, where that is none for people, to standard output."""
    if out is not None:
        _write(content, out)
    elif sys.stdout.isatty():
        raise click.UsageError("parquet is no text: name a file with --out, or send standard output to one")
    else:
        click.echo(content, nl=False)


def _lines(answer: Answer, kind: str, *, width: int | None, escape: bool, most: int | None = None) -> Iterator[str]:
    """Yield the lines of an answer; `escape` makes CSV safe for a terminal as well, `most` cuts a table's cells."""
    from orchestrator.cli.audit.columns import columns
    from orchestrator.escape import escaped

    if kind == "json":
        for row in answer.rows:
            yield json.dumps(dict(zip(answer.columns, map(_plain, row), strict=True)), allow_nan=False)
    elif kind == "csv":
        for row in (answer.columns, *answer.rows):
            text = io.StringIO()
            csv.writer(text, lineterminator="\r\n").writerow([_cell(value, missing="") for value in row])
            line = text.getvalue().removesuffix("\r\n")
            yield escaped(line) if escape else line
    else:
        rows = [[_cell(value, missing="-") for value in row] for row in answer.rows]
        numbers = {
            name
            for position, name in enumerate(answer.columns)
            if any(isinstance(row[position], int | float | Decimal) for row in answer.rows)
        }
        yield from columns(answer.columns, rows, width=width, most=most, right=frozenset(numbers))


def _plain(value: Any) -> Any:
    """Return a value of DuckDB as one that JSON has; what is not finite is null, what JSON lacks is text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def _cell(value: Any, *, missing: str) -> str:
    if value is None:
        return missing
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(_plain(value), ensure_ascii=False)
    return str(value)
