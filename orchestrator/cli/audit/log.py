"""`orchestrate audit log`: what a candidate printed."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.options import opened, runs_option


@click.command("log")
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
