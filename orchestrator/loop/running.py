"""Runs the cycles of one run with the real parts, from its configuration to its summaries."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from orchestrator.config import Config
from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.loop.assembly import real_parts
from orchestrator.loop.cycle import Loop
from orchestrator.loop.preflight import check, look_up, rehearse
from orchestrator.progress import Observer, Report, silent, unobserved
from orchestrator.records import CycleSummary
from orchestrator.run import RunFolder, run_lock
from orchestrator.sandbox import Engine
from orchestrator.shipped import cache_folder, runs_folder

NAME = re.compile(r"\w[\w.-]*")
LONGEST = 200  # bytes of a run's name: what file systems take, with room for what stands behind it elsewhere
BEGUN = {"lock", "config.part"}  # what a kill may leave of a run that was not frozen yet

Attach = Callable[[RunFolder, Observer], Observer]


def unattached(run: RunFolder, observe: Observer) -> Observer:
    """Let nobody else watch a run."""
    del run
    return observe


def run_cycles(  # noqa: PLR0913 - each is one choice of the caller, and all but the first have a default
    config: Config,
    *,
    run: str | None = None,
    runs: str | Path | None = None,
    cache: str | Path | None = None,
    cycles: int | None = None,
    observe: Observer = unobserved,
    attach: Attach = unattached,
    report: Report = silent,
) -> list[CycleSummary]:
    """Run cycles of fine-tuning, generation, evaluation and admission until the run has its number of them in all.

    What is complete on disk is not computed again, so the same call continues a run that was interrupted. The run lies
    in `runs`/`run`: else under ORCHESTRATE_RUNS or `./runs`, and under the configuration's name. `cycles` is the total
    number, the configuration's unless given. `observe` is told of every record as it appears, and `report` of what a
    kill has torn; `attach` may put another observer in front once the run is open.

        summaries = orchestrator.run_cycles(orchestrator.load("quickstart"), cycles=2)
        print([summary.valid_rate for summary in summaries])  # shares from 0 to 1

    Raises:
        ConfigError: the configuration contradicts itself, this machine, or the one that the run was frozen with.
        InfrastructureError: the engine, the disk, an asset or a worker failed; the run pauses, and the same call
            goes on.
        LedgerError: a ledger of the run is damaged.
    """
    if cycles is not None:
        config = Config.model_validate(config.model_copy(update={"cycles": cycles}))
    folder, store = run_folder(config.name if run is None else run, runs_folder(runs)), cache_folder(cache)
    fresh = not (folder / "config.json").exists()
    if fresh:
        _refuse_foreign(folder)
        check(config)
    folder.mkdir(parents=True, exist_ok=True)
    with run_lock(folder), _paused(folder), _nothing_left(folder), ExitStack() as stack:
        engine = functools.cache(lambda: stack.enter_context(Engine()))  # one session, from its first use to the end
        if fresh:
            look_up(config)
            rehearse(config, cache=store, engine=engine())
        opened = RunFolder.create(folder, config, report=report)
        watch = attach(opened, observe)
        parts = real_parts(opened, cache=store, observe=watch, engine=engine)
        return Loop(opened, parts, observe=watch).run()


def run_folder(name: str, runs: Path) -> Path:
    """Return the folder of the run `name` under `runs`.

    Raises:
        ConfigError: it is no name, or the folder would lie elsewhere.
    """
    if NAME.fullmatch(name) is None:
        raise ConfigError(
            f"name {name!r}: begin with a letter or digit, and go on with these, dots, dashes and underscores"
        )
    if len(os.fsencode(name)) > LONGEST:
        raise ConfigError(f"name {name[:20]}...: is {len(os.fsencode(name))} bytes long, and may have {LONGEST}")
    return runs / name


def _refuse_foreign(folder: Path) -> None:
    """Raise ConfigError if `folder` holds what is no run's, or is no folder."""
    try:
        others = {path.name for path in folder.iterdir()} - BEGUN
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be a run's folder: {error.strerror}; name another with --run") from error
    if others:
        raise ConfigError(f"{folder}: holds {min(others)} and no run; name another with --run")


@contextmanager
def _nothing_left(folder: Path) -> Iterator[None]:
    """Remove the folder again if no run was begun in it."""
    try:
        yield
    finally:
        if not (folder / "config.json").exists():
            for name in BEGUN:
                (folder / name).unlink(missing_ok=True)
            with suppress(OSError):  # somebody has put something into it
                folder.rmdir()


@contextmanager
def _paused(folder: Path) -> Iterator[None]:
    """Say with a failure of ours that nothing is lost by it, and how the run goes on."""
    try:
        yield
    except InfrastructureError as error:
        begun = (folder / "config.json").exists()
        what = "The run is paused and keeps all that is complete" if begun else "No run was begun"
        hint = f"{what}: put this right, then run the same command again."
        raise InfrastructureError(f"{error}\n{hint}") from error
