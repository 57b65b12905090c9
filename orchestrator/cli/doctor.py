"""`orchestrate doctor`: which limits hold on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.options import cache_option, configured, data, default_config_option, prose, set_option, tell
from orchestrator.escape import escaped


@click.command(short_help="Say which limits hold on this machine.")
@default_config_option
@set_option
@cache_option
@click.pass_context
def doctor(ctx: click.Context, *, config_path: Path | None, overrides: tuple[str, ...], cache: Path) -> None:
    """Apply every limit of the sandbox, trip it on purpose, and say which hold on this machine.

    Exit status 0 only if every limit that the config relies on holds.
    """
    from rich.table import Table
    from rich.text import Text

    from orchestrator.cli.waiting import Waiting
    from orchestrator.evaluation.doctor import examine, probes
    from orchestrator.sandbox.host import machine

    config = configured(config_path, overrides)
    facts = Table(title="this machine")
    for name in ("what", "found"):
        facts.add_column(name)
    for fact in machine(sandbox=config.sandbox):
        facts.add_row(fact.name, Text(escaped(fact.value), style="yellow" if fact.present is False else ""))
    data().print(facts)
    table = Table(title=f"limits under {config.sandbox.runtime}, tripped on purpose")
    for name in ("limit", "asked for", "read back", "tripped", "what happened"):
        table.add_column(name, overflow="fold")
    colours = {"holds": "green", "does not hold": "bold red", "not enforced": "yellow", "not known": "bold yellow"}
    readings = []
    total = len(probes(config.sandbox.limits, import_seconds=0.0))
    with Waiting(prose(), "limits tripped", total=total) as waiting:
        for finding in examine(config, cache=cache):
            waiting.advance(finding.limit)
            readings.append(finding.reading)
            shown = Text(finding.reading, style=colours[finding.reading])
            table.add_row(finding.limit, finding.asked, finding.shown, shown, Text(escaped(finding.evidence)))
    data().print(table)
    broken, unknown, holding = (readings.count(one) for one in ("does not hold", "not known", "holds"))
    tell(f"{holding} of {len(readings)} limits hold under {config.sandbox.runtime}")
    if broken:
        prose().print(f"{broken} of {len(readings)} limits do not hold: do not run untrusted programs here")
    if unknown:
        prose().print(f"of {unknown} of {len(readings)} limits it is not known whether they hold: see what happened")
    if broken or unknown:
        ctx.exit(1)
