"""`orchestrate audit list`: which candidates a run has, and what became of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import data, json_option, opened, print_json, runs_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from orchestrator.audit import History


@click.command("list")
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
