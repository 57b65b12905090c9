"""`orchestrate report`: the cycles of a run as a table or as data."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.options import data, json_option, opened, print_json, runs_option


@click.command()
@click.argument("run")
@json_option
@runs_option
def report(*, run: str, runs: Path, jsonl: bool) -> None:
    """Report the whole cycles of RUN (a name or a folder) with intervals, beside chance and the majority class."""
    from orchestrator.view import cycles_table, states_table

    summaries = [summary for folder in opened(run, runs).cycles() for summary in folder.summary.read()]
    if jsonl:
        for summary in summaries:
            print_json(summary.model_dump(mode="json"))
        return
    console = data()
    for summary in summaries:
        console.print(states_table(summary))
    console.print(cycles_table(summaries))
