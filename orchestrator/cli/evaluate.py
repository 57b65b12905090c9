"""`orchestrate evaluate`: any program, through the very path that the loop uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.options import (
    FILE,
    cache_option,
    configured,
    data,
    default_config_option,
    json_option,
    print_json,
    prose,
    set_option,
)
from orchestrator.escape import escaped

if TYPE_CHECKING:
    from rich.table import Table

    from orchestrator.evaluation import Prepared
    from orchestrator.records import Verdict


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@default_config_option
@json_option
@set_option
@cache_option
@click.pass_context
def evaluate(
    ctx: click.Context,
    *,
    files: tuple[Path, ...],
    config_path: Path | None,
    jsonl: bool,
    overrides: tuple[str, ...],
    cache: Path,
) -> None:
    """Evaluate FILES, each in its own single-use container, and print their verdicts.

    Without --config the quickstart's protocol grades them: 2,048 Fashion-MNIST images, one epoch. The exit status is 0
    when every program got a verdict, whatever it was, and 1 when the infrastructure failed on one (`quarantined`).
    """
    from orchestrator.cli.waiting import Waiting
    from orchestrator.evaluation import prepare
    from orchestrator.evaluation.programs import evaluations
    from orchestrator.sandbox import Engine

    config = configured(config_path, overrides)
    prepared = prepare(config.protocol, cache)
    console = prose()
    finished: list[tuple[Path, Verdict]] = []
    with Engine() as engine, Waiting(console, "programs evaluated", total=len(files)) as waiting:
        waiting.say(f"containers run at {engine.endpoint}")
        done = evaluations(files, config, cache=cache, prepared=prepared, engine=engine)
        for path, verdict in zip(files, (evaluation.verdict for evaluation in done), strict=True):
            finished.append((path, verdict))
            if jsonl:
                print_json(_plain(path, verdict, prepared))
            shown = verdict.state if verdict.accuracy is None else f"{verdict.accuracy:.1%}"
            waiting.advance(f"{path.name}: {shown}")
            if not console.is_terminal:
                waiting.say(waiting.line)
    if not jsonl:
        data().print(_table(finished, guessing=prepared.guessing.text))
    if any(verdict.state == "quarantined" for _, verdict in finished):
        ctx.exit(1)


def _plain(path: Path, verdict: Verdict, prepared: Prepared) -> dict[str, Any]:
    fields = {"candidate_id", "state", "stage", "cause", "accuracy", "claimed", "measured"}
    return {"file": str(path)} | verdict.model_dump(mode="json", include=fields) | prepared.guessing.plain()


def _table(finished: list[tuple[Path, Verdict]], *, guessing: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="verdicts", caption=guessing)
    for name in ("file", "state", "stage", "accuracy", "parameters", "seconds", "cause"):
        table.add_column(name, justify="right" if name in {"accuracy", "parameters", "seconds"} else "left")
    for path, verdict in finished:
        table.add_row(
            Text(escaped(path.name)),
            verdict.state,
            verdict.stage,
            "-" if verdict.accuracy is None else f"{verdict.accuracy:.1%}",
            "-" if verdict.claimed.parameters is None else f"{verdict.claimed.parameters:,}",
            f"{sum(verdict.measured.seconds.values()):.1f}",
            Text(escaped(verdict.cause or "")),
        )
    return table
