"""`orchestrate cycle`: run the loop, or the rest of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from orchestrator.cli.options import cache_option, config_option, configured, prose, run_name, runs_option, set_option
from orchestrator.cli.options import data as data_console
from orchestrator.errors import ConfigError, InfrastructureError

BEGUN = {"lock", "config.part"}  # what a kill may leave of a run that was not frozen yet


@click.command()
@config_option
@click.option("--run", "name", help="The run's name; the configuration's own where omitted.")
@runs_option
@click.option("--cycles", type=click.IntRange(min=1), help="How many cycles the run shall have in all.")
@set_option
@cache_option
def cycle(
    *, config_path: Path, name: str | None, runs: Path, cycles: int | None, overrides: tuple[str, ...], cache: Path
) -> None:
    """Run cycles of fine-tuning, generation, evaluation and admission until the run has its number of them.

    Running it again continues after whatever is whole and computes none of that again.
    """
    from orchestrator.loop import Loop
    from orchestrator.loop.assembly import real_parts
    from orchestrator.loop.preflight import check, rehearse
    from orchestrator.report import Cycles, View
    from orchestrator.report.console import states_table
    from orchestrator.report.tensorboard import tracking
    from orchestrator.run import RunFolder, run_lock

    config = configured(config_path, overrides if cycles is None else (*overrides, f"cycles={cycles}"))
    folder = runs / run_name(config.name if name is None else name)
    fresh = not (folder / "config.json").exists()
    attach = tracking(config.tracker)
    if fresh:
        _refuse_foreign(folder)
        check(config)
    folder.mkdir(parents=True, exist_ok=True)
    with run_lock(folder), View(prose(), config) as view, _paused(folder):
        if fresh:
            rehearse(config, cache=cache)
        run = RunFolder.create(folder, config, report=view.say)
        observe = attach(run, view.observe)
        parts = real_parts(run, cache=cache, observe=observe)
        summaries = Loop(run, parts, observe=observe).run()
    console = data_console()
    for summary in summaries:
        console.print(states_table(summary))
    console.print(Cycles(summaries))
    click.echo(f"the run's ledgers, programs and adapters lie in {folder}", err=True)


def _refuse_foreign(folder: Path) -> None:
    """Raise ConfigError where `folder` holds what is no run's, or is no folder."""
    try:
        others = {path.name for path in folder.iterdir()} - BEGUN
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be a run's folder: {error.strerror}; name another with --run") from error
    if others:
        raise ConfigError(f"{folder}: holds {min(others)} and no run; name another with --run")


@contextmanager
def _paused(folder: Path) -> Iterator[None]:
    """Say with a failure of ours that nothing is lost by it, and how the run goes on."""
    try:
        yield
    except InfrastructureError as error:
        begun = (folder / "config.json").exists()
        what = "The run is paused and keeps all that is whole" if begun else "No run was begun"
        hint = f"{what}: put this right, then run the same command again."
        raise InfrastructureError(f"{error}\n{hint}") from error
