"""`orchestrate report`: the cycles of runs as a table, as data, or as a report with figures."""

from __future__ import annotations

import webbrowser
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
@click.option("--open", "opens", is_flag=True, help="With --out: open the page in a browser.")
@json_option
@runs_option
def report(*, names: tuple[str, ...], runs: Path, out: Path | None, gallery: int, opens: bool, jsonl: bool) -> None:
    """Report the complete cycles of each RUN (a name or a folder) with intervals, beside chance and the majority class.

    With --out, OUT/report.html and OUT/report.md place the runs side by side, beside the paper's numbers, with figures
    and a gallery of admitted programs; OUT/RUN/summary.json holds each run's numbers.
    """
    from orchestrator.report import write
    from orchestrator.report.writing import named

    folders = list(several(names, runs).values())
    if opens and out is None:
        raise click.UsageError("--open needs a page: name a folder for it with --out")
    if out is not None:
        written = write(folders, out, exhibits=gallery, report=tell)
        for path in written:
            tell(f"written: {path}")
        if opens:
            webbrowser.open(next(path for path in written if path.suffix == ".html").resolve().as_uri())
    labels = named([folder.path for folder in folders])
    for folder, label in zip(folders, labels, strict=True):
        _cycles(folder, jsonl=jsonl, name=label if len(folders) > 1 else None)


def _cycles(folder: RunFolder, *, jsonl: bool, name: str | None) -> None:
    """Print the complete cycles of one run, under its name if there are several."""
    from orchestrator.escape import escaped_line
    from orchestrator.report import Cycles
    from orchestrator.report.console import states_table
    from orchestrator.report.so_far import unfinished

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
    for line in unfinished(folder):
        console.print(line, markup=False, highlight=False)
