"""`orchestrate adapter`: the LoRA adapters that a run has trained, for use elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.options import NEW_FOLDER, cache_option, opened, runs_option, tell


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
    from orchestrator.report.export.exports import export_adapter

    trained = export_adapter(opened(run, runs), out, cycle=cycle, cache=cache)
    if trained != cycle:
        tell(f"the run does not iterate: cycle {cycle} samples from the adapter of cycle {trained}")
    click.echo(str(out))
