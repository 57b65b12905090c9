"""`orchestrate audit replay`: whether a candidate's result repeats in today's sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import cache_option, data, json_option, opened, print_json, prose, runs_option, set_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.evaluation.replay import Fact, Replay

DIFFERENT = 3


@click.command("replay", short_help="Evaluate a candidate again.")
@click.argument("run")
@click.argument("candidate_id")
@json_option
@runs_option
@set_option
@cache_option
def audit_replay(
    *, run: str, candidate_id: str, jsonl: bool, runs: Path, overrides: tuple[str, ...], cache: Path
) -> None:
    """Evaluate a candidate of RUN again and compare: state, stage, accuracy bit for bit, and predictions.

    It runs as it did in the loop, with the run's configuration, order of images and seed. Nothing is recorded, so --set
    may vary the configuration, as in sandbox.runtime=runsc. What differs in the surroundings is named.

    Exit status: 0 where the result is the same, 3 where it differs, 1 where infrastructure failed, 2 for bad usage.
    """
    from orchestrator.cli.waiting import Waiting
    from orchestrator.config import varied
    from orchestrator.evaluation import prepare
    from orchestrator.evaluation.replay import replay, sandboxed
    from orchestrator.run.history import history

    folder = opened(run, runs)
    found = history(folder, candidate_id)
    config = varied(folder.config, overrides, origin=str(folder.path / "config.json")) if overrides else folder.config
    prepared = prepare(config.protocol, cache)
    evaluator = sandboxed(folder, config=config, prepared=prepared, cache=cache)
    with Waiting(prose(), f"evaluating {found.candidate_id} again"):
        done = replay(folder, found, evaluator=evaluator, dataset=prepared.hash)
    if jsonl:
        print_json(_plain(found.candidate_id, done) | prepared.guessing.plain())
    else:
        _show(done)
        click.echo(f"accuracies beside {prepared.guessing.text}")
    if not done.same:
        click.get_current_context().exit(DIFFERENT)


def _show(done: Replay) -> None:
    from orchestrator.cli.audit.columns import columns, screen

    head = ("", "recorded", "today", "same")
    width = screen(data())
    for line in columns(head, list(_rows(done.result)), width=width):
        click.echo(line)
    differing = [fact for fact in done.surroundings if not fact.same]
    click.echo()
    if differing:
        for line in columns(("surroundings", *head[1:]), list(_rows(differing)), width=width):
            click.echo(line)
    else:
        click.echo(f"surroundings: the same in all {len(done.surroundings)} things on record")
    click.echo("the result is the same" if done.same else "the result is not the same")


def _rows(facts: Iterable[Fact]) -> Iterator[tuple[str, str, str, str]]:
    for fact in facts:
        yield (fact.name, _text(fact.recorded), _text(fact.today), "yes" if fact.same else "no")


def _text(value: object) -> str:
    return "-" if value is None else repr(value) if isinstance(value, float) else str(value)


def _plain(candidate_id: str, done: Replay) -> dict[str, object]:
    return {
        "candidate_id": candidate_id,
        "same": done.same,
        "result": {fact.name: [fact.recorded, fact.today] for fact in done.result},
        "surroundings": {fact.name: [fact.recorded, fact.today] for fact in done.surroundings if not fact.same},
        "measured": done.verdict.measured.model_dump(mode="json"),
    }
