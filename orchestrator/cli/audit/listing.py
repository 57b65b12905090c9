"""`orchestrate audit list`: which candidates a run has, and what became of each."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from orchestrator.cli.options import data, json_option, opened, print_json, runs_option, tell
from orchestrator.records.states import STAGES, Decision, VerdictState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.run.history import History

HEAD = ("candidate", "state", "stage", "accuracy", "seconds", "tokens", "nearest", "cause")
STATES = (*get_args(Decision), *get_args(VerdictState), "pending")
RIGHT = frozenset({"accuracy", "seconds", "tokens"})
TIMES = click.DateTime(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.command("list")
@click.argument("run")
@click.option("--cycle", type=int, help="Only this cycle.")
@click.option(
    "--state",
    type=click.Choice(STATES),
    metavar="STATE",
    help="Only this terminal state, as in admitted or timeout; passed is valid and not decided on yet.",
)
@click.option("--stage", type=click.Choice(STAGES), metavar="STAGE", help="Only those that ended here, as in forward.")
@click.option("--cause", help="Only those whose cause holds this text.")
@click.option("--min-accuracy", type=click.FloatRange(0, 1), help="Only valid ones at least this accurate.")
@click.option("--max-accuracy", type=click.FloatRange(0, 1), help="Only valid ones at most this accurate.")
@click.option("--min-seconds", type=click.FloatRange(0), help="Only those evaluated for at least this long.")
@click.option("--max-seconds", type=click.FloatRange(0), help="Only those evaluated for at most this long.")
@click.option("--since", type=TIMES, help="Only those whose verdict the journal dates at or after this UTC time.")
@click.option("--until", type=TIMES, help="Only those whose verdict the journal dates before this UTC time.")
@click.option(
    "--sort",
    type=click.Choice(["id", "accuracy", "seconds"]),
    default="id",
    show_default=True,
    help="By what to order: accuracy and seconds from the highest down.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many.")
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
    min_accuracy: float | None,
    max_accuracy: float | None,
    min_seconds: float | None,
    max_seconds: float | None,
    since: datetime | None,
    until: datetime | None,
    sort: str,
    limit: int | None,
    jsonl: bool,
) -> None:
    """List the candidates of RUN (a name or a folder)."""
    from orchestrator.cli.audit.columns import columns, screen
    from orchestrator.run.history import Filter, bracketed, guessing, histories, ordered

    wanted = Filter(
        cycle=cycle,
        state=state,
        stage=stage,
        cause=cause,
        accuracy=(min_accuracy, max_accuracy),
        seconds=(min_seconds, max_seconds),
        since=None if since is None else since.replace(tzinfo=UTC),
        until=None if until is None else until.replace(tzinfo=UTC),
    )
    folder = opened(run, runs)
    everything = list(histories(folder))
    found = ordered([history for history in everything if wanted.wants(history)], by=sort)
    guess = guessing(folder)
    if since or until:
        _say_undated(everything)
    if jsonl:
        compared = guess.plain() if guess is not None else {}
        for history in found[:limit]:
            print_json({**history.plain(), **compared})
        return
    rows = [_row(history) for history in found[:limit]]
    for line in columns(HEAD, rows, width=screen(data()), right=RIGHT):
        click.echo(line)
    shown = f"{len(rows)} shown of {len(found)} that match, of {len(everything)} candidates{bracketed(guess)}"
    tell(shown)


def _say_undated(everything: Sequence[History]) -> None:
    """Say how many candidates a bound on time leaves out for want of a date."""
    undated = sum(history.verdict is not None and history.at is None for history in everything)
    if undated:
        tell(
            f"{undated} candidates are left out, whose verdicts no journal dates: it is missing, damaged or older than"
            " they are (`orchestrate audit verify` says which)"
        )


def _row(history: History) -> tuple[str, ...]:
    verdict = history.verdict
    nearest = history.nearest
    return (
        history.candidate_id,
        history.state,
        "-" if verdict is None else verdict.stage,
        "-" if history.accuracy is None else f"{history.accuracy:.1%}",
        "-" if history.seconds is None else f"{history.seconds:.1f}",
        str(history.completion.tokens),
        "-" if nearest is None else f"{nearest.estimate:.2f} {nearest.entry_id}",
        "" if verdict is None else verdict.cause or "",
    )
