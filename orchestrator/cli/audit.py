"""`orchestrate audit`: what became of each candidate, its program, and what it printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import data, json_option, opened, print_json, runs_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from orchestrator.audit import History


@click.group()
def audit() -> None:
    """Look into a run: every candidate, its program, its verdict and its output."""


@audit.command("list")
@click.argument("run")
@click.option("--cycle", type=int, help="Only this cycle.")
@click.option("--state", help="Only this terminal state, as in admitted or timeout.")
@click.option("--stage", help="Only those that ended in this stage, as in forward.")
@click.option("--cause", help="Only those whose cause holds this text.")
@click.option("--min-accuracy", "least", type=click.FloatRange(0, 1), help="Only valid ones at least this accurate.")
@click.option("--max-accuracy", "most", type=click.FloatRange(0, 1), help="Only valid ones at most this accurate.")
@json_option
@runs_option
def audit_list(  # noqa: PLR0913 - one argument for each option of the command
    *,
    run: str,
    runs: Path,
    cycle: int | None,
    state: str | None,
    stage: str | None,
    cause: str | None,
    least: float | None,
    most: float | None,
    jsonl: bool,
) -> None:
    """List the candidates of RUN (a name or a folder)."""
    from orchestrator.audit import Filter, histories

    wanted = Filter(cycle=cycle, state=state, stage=stage, cause=cause, least=least, most=most)
    found = [history for history in histories(opened(run, runs)) if wanted.wants(history)]
    if jsonl:
        for history in found:
            print_json(history.plain())
    else:
        data().print(_table(found))


@audit.command("show")
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


@audit.command("log")
@click.argument("run")
@click.argument("candidate_id")
@runs_option
def audit_log(*, run: str, candidate_id: str, runs: Path) -> None:
    """Show what a candidate of RUN printed, with every character that could act on a terminal written out."""
    from orchestrator.audit import history
    from orchestrator.escape import escaped

    folder = opened(run, runs)
    verdict = history(folder, candidate_id).verdict
    if verdict is None:
        click.echo("not evaluated yet", err=True)
        return
    measured = verdict.measured
    for name, stored in (("stdout", measured.stdout), ("stderr", measured.stderr)):
        click.echo(f"--- {name}")
        if stored is not None:
            click.echo(escaped(folder.store.get(stored)))
    if measured.truncated:
        click.echo(f"--- {measured.log_bytes} bytes in all; the rest was not stored", err=True)


def _table(found: Sequence[History]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from orchestrator.escape import escaped

    table = Table(title=f"{len(found)} candidates")
    for name in ("candidate", "state", "stage", "accuracy", "tokens", "nearest", "cause"):
        table.add_column(name, justify="right" if name in {"accuracy", "tokens"} else "left")
    for history in found:
        verdict = history.verdict
        table.add_row(
            history.candidate_id,
            history.state,
            "-" if verdict is None else verdict.stage,
            "-" if history.accuracy is None else f"{history.accuracy:.1%}",
            str(history.completion.tokens),
            Text(_nearest(history)),
            Text(escaped("" if verdict is None else verdict.cause or "")),
        )
    return table


def _nearest(history: History) -> str:
    """Return the nearest neighbour in the corpus or the cycle, with its estimated Jaccard index."""
    if history.novelty is None:
        return "-"
    near = [one for one in (history.novelty.train, history.novelty.generation) if one is not None]
    nearest = max(near, key=lambda one: one.estimate, default=None)
    return "-" if nearest is None else f"{nearest.estimate:.2f} {nearest.entry_id}"


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
