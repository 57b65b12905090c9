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
@click.option("--adapter", type=ADAPTER, help="A folder with a LoRA adapter; the base model alone where omitted.")
@click.option("--count", type=click.IntRange(min=1), default=8, show_default=True, help="How many completions.")
@set_option
@cache_option
def generate(*, config_path: Path, adapter: Path | None, count: int, overrides: tuple[str, ...], cache: Path) -> None:
    """Sample completions of the configuration's prompt and print them, one JSON object a line, as they finish."""
    from orchestrator.cli.waiting import Waiting
    from orchestrator.language_model import prompts
    from orchestrator.loop import budget
    from orchestrator.loop.assembly import generator
    from orchestrator.progress import Note

    config = configured(config_path, overrides)
    messages = prompts.asked(config)
    chunks = budget.chunks(config.budget, seed=config.seed, cycle=0, start=0, end=count)

    def observe(event: Event) -> None:
        if isinstance(event, Note):
            waiting.say(event.text)

    llm = generator(config, cache=cache, log=cache / "llm.log", observe=observe)
    with Waiting(prose(), "completions", total=count) as waiting:
        for sampled in llm.generate(adapter=adapter, messages=messages, chunks=chunks):
            waiting.advance()
            print_json(sampled.model_dump(mode="json"))


@click.command(short_help="Fine-tune an adapter on a corpus.")
@config_option
@click.option("--corpus", type=FILE, required=True, help="Chat pairs, as `orchestrate corpus build` writes them.")
@click.option("--adapter", type=ADAPTER, help="An adapter to continue; the base model where omitted.")
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
    from orchestrator.errors import ConfigError
    from orchestrator.loop.assembly import trainer
    from orchestrator.progress import StageBegins
    from orchestrator.records import Entry, derived_seed
    from orchestrator.report import View
    from orchestrator.run import Ledger

    config = configured(config_path, overrides)
    if out.exists():
        raise ConfigError(f"--out {out}: exists; name a new folder")
    ledger = Ledger(corpus, Entry, report=tell)
    entries = ledger.read()
    if not entries:
        raise ConfigError(f"--corpus {corpus}: holds no entry")
    if not ledger.whole:
        raise ConfigError(f"--corpus {corpus}: has no end marker; let `orchestrate corpus build` finish it")
    with View(prose(), config) as view:
        view.observe(StageBegins(cycle=1, name="finetune"))
        seed = derived_seed(config.seed, "finetune", 1)
        llm = trainer(config, cache=cache, log=cache / "llm.log", observe=view.observe)
        made = llm.train(entries=entries, adapter=adapter, output=out, seed=seed)
    print_json(made.model_dump(mode="json"))
