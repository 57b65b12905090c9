"""`orchestrate cycle`: run the loop, or the rest of it."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.options import (
    cache_option,
    config_option,
    configured,
    prose,
    resumes,
    runs_option,
    set_option,
    tell,
)
from orchestrator.cli.options import data as data_console


@click.command(short_help="Run cycles, or continue a run.")
@config_option
@click.option("--run", "name", help="The run's name; the configuration's own if omitted.")
@runs_option
@click.option("--cycles", type=click.IntRange(min=1), help="How many cycles the run shall have in all.")
@set_option
@cache_option
def cycle(
    *, config_path: Path, name: str | None, runs: Path, cycles: int | None, overrides: tuple[str, ...], cache: Path
) -> None:
    """Run cycles of fine-tuning, generation, evaluation and admission until the run has its number of them.

    Running it again continues after whatever is complete, and computes none of that again.
    """
    from orchestrator.loop.running import run_cycles, run_folder
    from orchestrator.report import Cycles, View
    from orchestrator.report.console import states_table
    from orchestrator.report.tensorboard import tracking

    resumes()
    config = configured(config_path, overrides if cycles is None else (*overrides, f"cycles={cycles}"))
    attach = tracking(config.tracker)
    with View(prose(), config) as view:
        summaries = run_cycles(
            config, run=name, runs=runs, cache=cache, observe=view.observe, attach=attach, report=view.say
        )
    console = data_console()
    for summary in summaries:
        console.print(states_table(summary))
    console.print(Cycles(summaries))
    lies = run_folder(config.name if name is None else name, runs)
    tell(f"the run's ledgers, programs and adapters lie in {lies}")
