"""`orchestrate evaluate`: any program, through the very path that the loop uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.options import (
    cache_option,
    configured,
    data,
    default_config_option,
    json_option,
    print_json,
    prose,
    set_option,
)
from orchestrator.errors import ConfigError
from orchestrator.escape import escaped, escaped_line
from sandbox_image.wire import SOURCE_LIMIT

if TYPE_CHECKING:
    from orchestrator.evaluation import Prepared
    from orchestrator.records import Evaluation, Verdict


PROGRAMS = click.Path(exists=True, allow_dash=True, path_type=Path)
INPUT = Path("-")
NARROW = 110  # characters, below which a cause stands on a line of its own
LINES = 20  # of what a program printed that are shown


@click.command(short_help="Get verdicts on programs.")
@click.argument("files", nargs=-1, required=True, type=PROGRAMS)
@default_config_option
@json_option
@click.option("--verbose", is_flag=True, help="Show where each program failed, and the end of what it printed.")
@set_option
@cache_option
@click.pass_context
def evaluate(  # noqa: PLR0913 - one argument for each option of the command
    ctx: click.Context,
    *,
    files: tuple[Path, ...],
    config_path: Path | None,
    jsonl: bool,
    verbose: bool,
    overrides: tuple[str, ...],
    cache: Path,
) -> None:
    """Evaluate FILES, each in its own single-use container, and print their verdicts.

    A folder stands for the Python files in it, and - for a program on standard input. Without --config the quickstart's
    protocol grades them: 2,048 Fashion-MNIST images, one epoch. The exit status is 0 when every program got a verdict,
    whatever it was, and 1 when the infrastructure failed on one (`quarantined`).
    """
    from orchestrator.cli.waiting import Waiting
    from orchestrator.evaluation import prepare
    from orchestrator.evaluation.programs import evaluations
    from orchestrator.sandbox import Engine

    programs = list(_programs(files))
    config = configured(config_path, overrides)
    prepared = prepare(config.protocol, cache)
    console = prose()
    finished: list[tuple[Path, Evaluation]] = []
    try:
        sources = (sys.stdin.buffer.read(SOURCE_LIMIT + 1) if path == INPUT else path for path in programs)
        with (
            Engine() as engine,
            Waiting(console, "programs evaluated", total=len(programs)) as waiting,
            closing(evaluations(sources, config, cache=cache, prepared=prepared, engine=engine)) as done,
        ):
            waiting.say(f"containers run at {engine.endpoint}")
            for path, evaluation in zip(programs, done, strict=True):
                verdict = evaluation.verdict
                finished.append((path, evaluation))
                if jsonl:
                    print_json(_plain(path, verdict, prepared))
                shown = verdict.state if verdict.accuracy is None else f"{verdict.accuracy:.1%}"
                waiting.advance(f"{path.name}: {shown}")
                if not console.is_terminal:
                    waiting.say(waiting.line)
    finally:  # whoever interrupts a batch has the verdicts that were there
        if finished and not jsonl:
            _show(finished, guessing=prepared.guessing.text)
            for path, evaluation in finished if verbose else ():
                _explain(path, evaluation)
    if any(evaluation.verdict.state == "quarantined" for _, evaluation in finished):
        ctx.exit(1)


def _programs(files: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the files that are named, and those in the folders that are."""
    for path in files:
        inside = sorted(path.glob("*.py")) if path.is_dir() else [path]
        if not inside:
            raise ConfigError(f"{path}: holds no Python file")
        yield from inside


def _plain(path: Path, verdict: Verdict, prepared: Prepared) -> dict[str, Any]:
    fields = {"candidate_id", "state", "stage", "cause", "accuracy", "claimed", "measured"}
    return {"file": str(path)} | verdict.model_dump(mode="json", include=fields) | prepared.guessing.plain()


def _show(finished: Sequence[tuple[Path, Evaluation]], *, guessing: str) -> None:
    """Print the verdicts as a table; on a narrow screen the causes follow it."""
    from rich.table import Table
    from rich.text import Text

    console = data()
    narrow = console.width < NARROW
    table = Table(title="verdicts", caption=guessing)
    for name in ("file", "state", "stage", "accuracy", "parameters", "seconds", *(() if narrow else ("cause",))):
        table.add_column(name, justify="right" if name in {"accuracy", "parameters", "seconds"} else "left")
    for path, verdict in ((path, evaluation.verdict) for path, evaluation in finished):
        cells = (
            Text(escaped(path.name)),
            verdict.state,
            verdict.stage,
            "-" if verdict.accuracy is None else f"{verdict.accuracy:.1%}",
            "-" if verdict.claimed.parameters is None else f"{verdict.claimed.parameters:,}",
            f"{sum(verdict.measured.seconds.values()):.1f}",
        )
        table.add_row(*cells, *(() if narrow else (Text(escaped(verdict.cause or "")),)))
    console.print(table)
    for path, evaluation in finished if narrow else ():
        if evaluation.verdict.cause:
            console.print(Text(escaped_line(f"{path.name}: {evaluation.verdict.cause}")), soft_wrap=True)


def _explain(path: Path, evaluation: Evaluation) -> None:
    """Print where a program failed, by its own claim, and the last lines of what it printed."""
    verdict = evaluation.verdict
    click.echo(f"--- {escaped_line(path.name)}: {verdict.state} in {verdict.stage}")
    if verdict.claimed.failure is not None:
        for place in verdict.claimed.failure.where:
            click.echo(f"at {escaped_line(place)}")
    for name, stored in (("stdout", verdict.measured.stdout), ("stderr", verdict.measured.stderr)):
        if stored is not None:
            lines = escaped(evaluation.objects[stored]).expandtabs().splitlines()
            click.echo(f"{name}, the last {LINES} of {len(lines)} lines:" if len(lines) > LINES else f"{name}:")
            click.echo("\n".join(lines[-LINES:]))
