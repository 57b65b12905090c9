"""`orchestrate adapter`: the LoRA adapters that a run has trained, for use elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.options import NEW_FOLDER, cache_option, opened, runs_option


@click.group()
def adapter() -> None:
    """The adapters that a run has fine-tuned."""


@adapter.command("export", short_help="Export the adapter of a cycle.")
@click.argument("run")
@click.option("--cycle", type=click.IntRange(min=1), required=True, help="The cycle that samples from it.")
@click.option("--out", type=NEW_FOLDER, required=True, help="The new folder.")
@runs_option
@cache_option
def adapter_export(*, run: str, cycle: int, out: Path, runs: Path, cache: Path) -> None:
    """Export the adapter of one cycle of RUN in PEFT's format with a model card, after checking its digests."""
    from orchestrator.report.export import cards, licences
    from orchestrator.report.export.adapter import adapter_of, card, copy, rename_base
    from orchestrator.report.export.folder import new_folder

    folder = opened(run, runs)
    trained, record = adapter_of(folder, cycle)
    if trained.number != cycle:
        click.echo(f"the run does not iterate: cycle {cycle} samples from the adapter of cycle 1", err=True)
    licence = licences.of_model(folder.config.llm.model, cache)
    with new_folder(out) as partial:
        journalled = copy(folder, trained, record, partial)
        rename_base(partial, cards.base_model(folder.config))
        text = card(folder, trained, record, licence=licence, journalled=journalled)
        (partial / "README.md").write_text(text, encoding="utf-8")
    click.echo(str(out))
