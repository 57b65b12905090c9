"""Measures the project beside what people would use instead: one row each, in turn, on the same work.

`python -m tests.benchmarks` runs every row, or those that are named. Each writes results/bench/ROW.json when it ends; a
row that was measured on the same code and machine is not measured again, so a run that was stopped goes on where it
was. A row that fails, as where its peer cannot be installed, is named at the end, and the others are measured.
"""

from __future__ import annotations

import importlib
import json
import subprocess
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from orchestrator.errors import OrchestratorError
from tests.benchmarks import machine
from tests.benchmarks.result import HEAD, lines, settled
from tests.benchmarks.row import WORK, Row
from tests.support.checkout import CHECKOUT

RESULTS = CHECKOUT / "results" / "bench"
ROWS = ("claim", "data", "novelty", "failing", "cold", "batch", "generation", "lora", "curation", "overlap", "cycle")
WIDTH = 200


def find(name: str) -> Row:
    """Return the row of the module that bears its name."""
    row = importlib.import_module(f"tests.benchmarks.{name}").ROW
    assert isinstance(row, Row)
    return row


def stored(path: Path) -> dict[str, Any] | None:
    """Return the record in `path`, or None where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def table(records: list[dict[str, Any]]) -> Table:
    """Return all records as one table."""
    quick = any(record["quick"] for record in records)
    caption = "* a quick trial: too small to be quoted" if quick else None
    shown = Table(*HEAD, box=box.SIMPLE_HEAD, caption=caption)
    for record in records:
        for line in lines(record):
            shown.add_row(*line)
    return shown


@click.command()
@click.argument("rows", nargs=-1, type=click.Choice(ROWS))
@click.option("--again", is_flag=True, help="Measure a row although code and machine are the same.")
@click.option("--quick", is_flag=True, help="One round of small sizes, to see that everything runs; not to be quoted.")
@click.option("--show", is_flag=True, help="Measure nothing; print what is there.")
def main(*, rows: tuple[str, ...], again: bool, quick: bool, show: bool) -> None:
    """Measure ROWS (all, where none is named), and print the table."""
    folder = WORK / "quick" if quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    chosen, failed, here = rows or ROWS, [], machine.describe()
    for name in () if show else chosen:
        path = folder / f"{name}.json"
        row = find(name)
        if not again and settled(stored(path), revision=row.revision(), machine=here):
            click.echo(f"{name}: measured on this very code and machine; --again measures it again", err=True)
            continue
        try:
            record = row.measure(quick=quick)
        except (OSError, RuntimeError, subprocess.SubprocessError, OrchestratorError) as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")
            continue
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
    records = [stored(folder / f"{name}.json") for name in chosen]
    Console(width=WIDTH).print(table([record for record in records if record is not None]))
    if failed:
        raise click.ClickException("not measured: " + "; ".join(failed))


if __name__ == "__main__":
    main()
