"""`orchestrate audit verify`: whether a run is still what its journal says, and its verdicts worth the same."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import click

from orchestrator.cli.options import cache_option, prose, runs_option, say_places
from orchestrator.errors import ConfigError


def _hash(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return the hash of what --head prints: index and hash, or the hash alone."""
    found = None if value is None else re.fullmatch(r"(?:\d+\s+)?([0-9a-f]{64})", value.strip())
    if value is not None and found is None:
        message = f"{value!r} is not what --head prints: an index and a SHA-256 of 64 digits, or the latter alone"
        raise click.BadParameter(message, ctx=context, param=parameter)
    return None if found is None else found[1]


@click.command("verify", short_help="Check that nothing was changed.")
@click.argument("run")
@click.option("--no-regrade", is_flag=True, help="Do not grade again; for where the data set is not at hand.")
@click.option("--head", "head_only", is_flag=True, help="Print index and hash of the journal's last line, and end.")
@click.option(
    "--expect-head",
    metavar="HASH",
    callback=_hash,
    help="Fail unless the journal has a line with this hash; takes what --head printed.",
)
@cache_option
@runs_option
def audit_verify(
    *, run: str, no_regrade: bool, head_only: bool, expect_head: str | None, cache: Path, runs: Path
) -> None:
    """Check that nothing in RUN was changed since it was written, and grade its verdicts again.

    Walks the journal's chain, compares every ledger line with it, hashes every stored object and adapter file, grades
    every valid program again from its predictions, and derives decisions and counts again. Names the first thing that
    does not hold, with file and line, and exits with 1.

    What a chain of hashes does not protect against: whoever can write the whole folder can rewrite all of it
    consistently, or cut off its end. Keep what --head prints elsewhere, and give it to --expect-head later: that finds
    both. Outside are llm.log and the lock; the key only tells whether it is still the same.
    """
    from orchestrator.cli.waiting import Waiting
    from orchestrator.evaluation.dataset import labels
    from orchestrator.run.ledger import reading_lock
    from orchestrator.run.verify import head, verify

    if head_only and expect_head is not None:
        raise click.UsageError("--head only prints; leave it out to compare with --expect-head")
    say_places()
    folder = Path(run) if (Path(run) / "config.json").is_file() else runs / run
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such run; `--runs` names the folder of runs")
    with reading_lock(folder):
        if head_only:
            last = head(folder)
            click.echo(f"{last.index} {last.hash}")
            return
        with Waiting(prose(), f"checking {folder}"):
            checks = verify(folder, labels=None if no_regrade else partial(labels, cache=cache), expected=expect_head)
        last = head(folder)
    width = max(len(check.what) for check in checks)
    for check in checks:
        click.echo(f"{check.count:>9,}  {check.what:<{width}}  {check.note}".rstrip())
    click.echo(f"everything holds; the head is line {last.index}, {last.hash}: keep it elsewhere for --expect-head")
