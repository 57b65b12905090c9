"""`orchestrate report`: the cycles of runs as a table, as data, or as a report with figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import NEW_FOLDER, data, json_option, print_json, runs_option, several, tell

if TYPE_CHECKING:
    from orchestrator.run import RunFolder


@click.command(short_help="Report on runs.")
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.option("--out", type=NEW_FOLDER, help="Write the report into this folder: a page, Markdown, figures, summaries.")
@click.option(
    "--gallery",
    type=click.IntRange(min=0),
    default=24,
    show_default=True,
    help="With --out: how many admitted programs it shows, shared out among the runs.",
)
@json_option
@runs_option
def report(*, names: tuple[str, ...], runs: Path, out: Path | None, gallery: int, jsonl: bool) -> None:
    """Report the whole cycles of each RUN (a name or a folder) with intervals, beside chance and the majority class.

    With --out, OUT/report.html and OUT/report.md place the runs side by side, beside the paper's numbers, with figures
    and a gallery of admitted programs; OUT/RUN/summary.json holds each run's numbers.
    """
    from orchestrator.report import write
    from orchestrator.report.writing import named

    folders = list(several(names, runs).values())
    if out is not None:
        for path in write(folders, out, exhibits=gallery):
            tell(f"written: {path}")
    labels = named([folder.path for folder in folders])
    for folder, label in zip(folders, labels, strict=True):
        _cycles(folder, jsonl=jsonl, name=label if len(folders) > 1 else None)


def _cycles(folder: RunFolder, *, jsonl: bool, name: str | None) -> None:
    """Print the whole cycles of one run, under its name where there are several."""
    from orchestrator.escape import escaped_line
    from orchestrator.report import Cycles
    from orchestrator.report.console import states_table

    summaries = [one for cycle in folder.cycles() if cycle.summary.whole for one in cycle.summary.read()]
    if jsonl:
        for summary in summaries:
            print_json(({} if name is None else {"run": name}) | summary.model_dump(mode="json"))
        return
    console = data()
    if name is not None:
        console.print(escaped_line(name), markup=False, highlight=False)
    for summary in summaries:
        console.print(states_table(summary))
    console.print(Cycles(summaries))
