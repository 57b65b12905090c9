"""`orchestrate generate` and `finetune`: the language model by itself, as the loop uses it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import (
    FILE,
    Outside,
    cache_option,
    config_option,
    configured,
    print_json,
    prose,
    set_option,
    tell,
)

if TYPE_CHECKING:
    from orchestrator.progress import Event

ADAPTER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(short_help="Sample completions of the prompt.")
@config_option
@click.option("--adapter", type=ADAPTER, help="A folder with a LoRA adapter; the base model alone if omitted.")
@click.option("--count", type=click.IntRange(min=1), default=8, show_default=True, help="How many completions.")
@set_option
@cache_option
def generate(*, config_path: Path, adapter: Path | None, count: int, overrides: tuple[str, ...], cache: Path) -> None:
    """Sample completions of the configuration's prompt and print them, one JSON object a line, as they finish."""
    from orchestrator.cli.waiting import Waiting
    from orchestrator.loop.alone import sample
    from orchestrator.progress import Note

    config = configured(config_path, overrides)

    def observe(event: Event) -> None:
        if isinstance(event, Note):
            waiting.say(event.text)

    with Waiting(prose(), "completions", total=count) as waiting:
        for sampled in sample(config, count=count, cache=cache, adapter=adapter, observe=observe):
            waiting.advance()
            print_json(sampled.model_dump(mode="json"))


@click.command(short_help="Fine-tune an adapter on a corpus.")
@config_option
@click.option("--corpus", type=FILE, required=True, help="Chat pairs, as `orchestrate corpus build` writes them.")
@click.option("--adapter", type=ADAPTER, help="An adapter to continue; the base model if omitted.")
@click.option("--out", type=Outside(path_type=Path), required=True, help="The adapter's folder, which must be new.")
@set_option
@cache_option
def finetune(
    *,
    config_path: Path,
    corpus: Path,
    adapter: Path | None,
    out: Path,
    overrides: tuple[str, ...],
    cache: Path,
) -> None:
    """Fine-tune a LoRA adapter on a corpus and print its record as JSON."""
    from orchestrator.loop import alone
    from orchestrator.progress import StageBegins
    from orchestrator.report import View

    config = configured(config_path, overrides)
    with View(prose(), config) as view:
        view.observe(StageBegins(cycle=1, name="finetune"))
        made = alone.finetune(
            config, corpus=corpus, output=out, cache=cache, adapter=adapter, observe=view.observe, report=tell
        )
    print_json(made.model_dump(mode="json"))
