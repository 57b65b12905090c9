"""`orchestrate audit sizes`, `prune` and `prune-adapters`: what a run takes on disk, and dropping what may go."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from orchestrator.cli.options import json_option, opened, print_json, runs_option, tell

if TYPE_CHECKING:
    from orchestrator.run.retention import Plan

UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def _age(context: click.Context, parameter: click.Parameter, value: str) -> timedelta:
    """Return the span of time that an option names, as in 12h, 30d or 8w."""
    found = re.fullmatch(r"(\d{1,5})([hdw])", value)
    if found is None:
        message = f"{value!r} is no age: write hours, days or weeks, as in 12h, 30d or 8w"
        raise click.BadParameter(message, ctx=context, param=parameter)
    return timedelta(**{UNITS[found[2]]: int(found[1])})


@click.command("prune", short_help="Drop stored output.")
@click.argument("run")
@click.option(
    "--logs-of",
    type=click.Choice(["failed", "valid", "all"]),
    required=True,
    help="Whose output goes: of candidates that failed, of valid ones, or of all.",
)
@click.option("--older-than", callback=_age, required=True, help="Only output at least this old, as in 12h, 30d or 8w.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@runs_option
def audit_prune(
    *, run: str, logs_of: Literal["failed", "valid", "all"], older_than: timedelta, dry_run: bool, runs: Path
) -> None:
    """Drop stored output of candidates of RUN; the journal records what went before it goes.

    Programs, predictions and ledgers always stay, and so does output that another candidate shares or that anything
    else refers to. A verdict without a time in the journal is as old as its ledger. `audit log` says what was pruned.
    """
    from orchestrator.run.history import verdict_times
    from orchestrator.run.retention import Policy, plan, prune

    folder = opened(run, runs)
    policy = Policy(logs_of=logs_of, before=datetime.now(tz=UTC) - older_than)
    if dry_run:
        _say("would drop", plan(folder, policy, moments=verdict_times(folder.path)))
        return
    with folder.held(report=tell) as writable:
        planned = plan(writable, policy, moments=verdict_times(folder.path))
        prune(writable, planned, policy=policy)
    _say("dropped", planned)


@click.command("prune-adapters", short_help="Drop adapters of finished cycles.")
@click.argument("run")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@runs_option
def audit_prune_adapters(*, run: str, dry_run: bool, runs: Path) -> None:
    """Drop the adapters of RUN's finished cycles, most of its bytes; the journal records what went before it goes.

    One that a later cycle of the configured number samples or trains from stays. Without them a run can be carried to
    another machine and goes on there, is verified and reported on; what is lost is `generate` and `adapter export` from
    cycles of the past, and with llm.continue_adapter, or without llm.iterate, more cycles than the run has finished.
    """
    from orchestrator.run.retention import drop_adapters, sizes, spent

    folder = opened(run, runs)
    before = sizes(folder)["adapters"].bytes
    if dry_run:
        names = ", ".join(one.weights_name for one in spent(folder)) or "nothing"
        click.echo(f"would drop {names}")
        return
    with folder.held(report=tell) as writable:
        going = spent(writable)
        drop_adapters(writable, going)
    click.echo(f"adapters dropped: {len(going)}, of {_size(before - sizes(folder)['adapters'].bytes)}")


def _say(verb: str, planned: Plan) -> None:
    click.echo(f"{verb} {len(planned.dropped)} captured outputs of {_size(sum(planned.dropped.values()))}")
    if planned.shared:
        click.echo(f"{len(planned.shared)} more stay: something else refers to the same bytes")


@click.command("sizes")
@click.argument("run")
@json_option
@runs_option
def audit_sizes(*, run: str, jsonl: bool, runs: Path) -> None:
    """Show what RUN takes on disk, by kind of file."""
    from orchestrator.cli.audit.columns import columns
    from orchestrator.run.retention import sizes

    usage = sizes(opened(run, runs))
    if jsonl:
        print_json({kind: {"files": one.files, "bytes": one.bytes} for kind, one in usage.items()})
        return
    rows = [(kind, f"{one.files:,}", _size(one.bytes)) for kind, one in usage.items()]
    total = (sum(one.files for one in usage.values()), sum(one.bytes for one in usage.values()))
    rows.append(("all", f"{total[0]:,}", _size(total[1])))
    for line in columns(("kind", "files", "size"), rows, width=None, right=frozenset({"files", "size"})):
        click.echo(line)


def _size(count: float) -> str:
    """Return a number of bytes in the largest unit that leaves at least one."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1 << 10:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1 << 10
    return f"{count:,.1f} GiB"
