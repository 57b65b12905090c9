"""`orchestrate audit show`: one candidate, its verdict, its neighbours and its program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.audit.listing import _nearest
from orchestrator.cli.options import data, opened, runs_option

if TYPE_CHECKING:
    from rich.table import Table

    from orchestrator.audit import History


@click.command("show")
@click.argument("run")
@click.argument("candidate_id")
@click.option("--as-run", is_flag=True, help="The program as it ran, with the contract completed.")
@click.option("--completion", is_flag=True, help="All that the model wrote, not only the program.")
@runs_option
def audit_show(*, run: str, candidate_id: str, runs: Path, as_run: bool, completion: bool) -> None:
    """Show one candidate of RUN: its verdict, its neighbours and its program."""
    from rich.syntax import Syntax
    from rich.text import Text

    from orchestrator.audit import history
    from orchestrator.escape import escaped

    folder = opened(run, runs)
    found = history(folder, candidate_id)
    console = data()
    console.print(_facts(found))
    if completion:
        console.print(Text(escaped(found.completion.text)))
        return
    candidate = found.candidate
    source = None if candidate is None else candidate.source
    if as_run and candidate is not None and candidate.program is not None:
        source = candidate.program.runs
    if source is None:
        console.print("the completion holds no program; --completion shows what the model wrote")
        return
    text = escaped(folder.store.get(source))
    console.print(Syntax(text, "python", line_numbers=console.is_terminal, word_wrap=True, background_color="default"))


def _facts(history: History) -> Table:
    from rich.table import Table
    from rich.text import Text

    from orchestrator.escape import escaped

    table = Table.grid(padding=(0, 2))
    facts = {"candidate": history.candidate_id, "state": history.state, "nearest": _nearest(history)}
    verdict = history.verdict
    if verdict is not None:
        claimed, measured = verdict.claimed, verdict.measured
        seconds = ", ".join(f"{stage} {spent:.1f}" for stage, spent in measured.seconds.items())
        facts |= {
            "stage": verdict.stage,
            "cause": verdict.cause or "-",
            "accuracy": "-" if verdict.accuracy is None else f"{verdict.accuracy:.2%}",
            "claimed parameters": "-" if claimed.parameters is None else f"{claimed.parameters:,}",
            "seconds": seconds or "-",
            "peak memory": "-" if measured.peak_memory is None else f"{measured.peak_memory / 2**20:.0f} MiB",
            "limits": ", ".join(f"{name} {value}" for name, value in measured.limits.items()) or "-",
        }
    if history.candidate is not None and history.candidate.program is not None:
        facts["completed"] = ", ".join(history.candidate.program.completed) or "nothing"
    for name, text in facts.items():
        table.add_row(Text(name, style="dim"), Text(escaped(text)))
    return table
