"""`orchestrate audit log`: what a candidate printed."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from orchestrator.cli.options import opened, runs_option, tell


@click.command("log", short_help="Show what a candidate printed.")
@click.argument("run")
@click.argument("candidate_id")
@runs_option
def audit_log(*, run: str, candidate_id: str, runs: Path) -> None:
    r"""Show what a candidate of RUN printed, with every character that could act on a terminal written out.

    Only printable characters and newlines are written: an escape character is shown as \x1b, a byte that is not UTF-8
    as \xNN, and tabs become spaces.
    """
    from orchestrator.run.history import history, pruned

    folder = opened(run, runs)
    verdict = history(folder, candidate_id).verdict
    if verdict is None:
        tell("not evaluated yet")
        return
    measured = verdict.measured
    for name, stored in (("stdout", measured.stdout), ("stderr", measured.stderr)):
        click.echo(f"--- {name}")
        if stored is None:
            continue
        if not folder.store.path(stored).exists() and stored in (dropped := pruned(folder.path)):
            tell(f"pruned on {dropped[stored]:%Y-%m-%d %H:%M} UTC; its SHA-256 was {stored}")
            continue
        click.echo(_shown(folder.store.get(stored)))
    if measured.truncated:
        tell(f"--- {measured.log_bytes} bytes were stored; what came after them was not")


def _shown(content: bytes) -> bytes:
    """Return `content` escaped, in the encoding of standard output: what that cannot write is escaped as well."""
    from orchestrator.escape import escaped

    encoding = sys.stdout.encoding or "ascii"
    return escaped(content).expandtabs().encode(encoding, errors="backslashreplace")
