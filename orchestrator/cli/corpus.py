"""`orchestrate corpus`: the seed corpus, how it came about, and which of its programs pass under a protocol."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from orchestrator.cli.options import (
    NEW_FILE,
    NEW_FOLDER,
    cache_option,
    config_option,
    configured,
    json_option,
    opened,
    print_json,
    prose,
    resumes,
    runs_option,
    set_option,
    tell,
)
from orchestrator.cli.options import data as data_console
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table


@click.group()
def corpus() -> None:
    """The seed corpus that the language model is first trained on."""


@corpus.command("build", short_help="Curate the seed corpus.")
@config_option
@click.option("--out", type=NEW_FOLDER, required=True, help="The folder to write to.")
@set_option
@cache_option
def corpus_build(*, config_path: Path, out: Path, overrides: tuple[str, ...], cache: Path) -> None:
    """Curate the seed corpus and write its chat pairs as OUT/corpus.jsonl, one a line in the messages format.

    OUT/stages.json says of every stage what it kept, what it dropped and why, and what the paper counted there;
    OUT/config.json, what of the configuration it depends on. A complete corpus is not built again.
    """
    from orchestrator.cli.waiting import Waiting
    from orchestrator.corpus.folder import build_corpus

    resumes()
    config = configured(config_path, overrides)
    began = time.monotonic()
    with Waiting(prose(), "curating"):
        built = build_corpus(config, out, cache=cache, report=tell)
    if built.fresh:
        tell(f"built in {time.monotonic() - began:.1f} s: {built.path} and {out / 'stages.json'}")
    else:
        tell(f"{built.path} is complete; remove it to build it again")
    if built.stages:
        data_console().print(_table(built.stages))


@corpus.command("stats", short_help="Say what curation kept and dropped.")
@config_option
@json_option
@set_option
@cache_option
def corpus_stats(*, config_path: Path, jsonl: bool, overrides: tuple[str, ...], cache: Path) -> None:
    """Print every stage of curation: what it kept, what it dropped, and why (each record with --jsonl)."""
    from orchestrator.cli.waiting import Waiting
    from orchestrator.corpus.build import curate

    config = configured(config_path, overrides)
    with Waiting(prose(), "curating"):
        curation = curate(config, cache=cache, report=tell)
    report = [stage.as_json() for stage in curation.stages]
    if jsonl:
        for stage in report:
            print_json(stage)
    else:
        data_console().print(_table(report))


@corpus.command("qualify", short_help="Train curated programs under a protocol.")
@config_option
@click.option("--out", type=NEW_FILE, required=True, help="The JSON Lines to extend.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many curated programs.")
@click.option("--names", "listed", type=click.File(), help="Only the programs that this file names, one a line.")
@set_option
@cache_option
def corpus_qualify(
    *,
    config_path: Path,
    out: Path,
    limit: int | None,
    listed: TextIO | None,
    overrides: tuple[str, ...],
    cache: Path,
) -> None:
    """Evaluate curated programs under the configuration's protocol; those that OUT already holds are skipped.

    A configuration may then name OUT as corpus.qualified, so that only programs that learn are trained on.
    """
    from orchestrator.cli.waiting import Waiting
    from orchestrator.corpus.build import curated, qualifications
    from orchestrator.evaluation import prepare
    from orchestrator.progress import left_after, time_left

    resumes()
    config = configured(config_path, overrides)
    console = prose()
    try:
        names = None if listed is None else frozenset(listed.read().split())
    except UnicodeDecodeError as error:
        raise ConfigError(f"--names: is no text: {error}") from error
    with Waiting(console, "curating"):
        seeds = curated(config, cache=cache, names=names, report=tell)[:limit]
    prepared = prepare(config.protocol, cache)
    console.print(f"accuracies beside {prepared.guessing.text}", markup=False)
    began = time.monotonic()
    for done, record in enumerate(qualifications(config, seeds, out=out, cache=cache), start=1):
        shown = record.state if record.accuracy is None else f"{record.accuracy:.1%}"
        elapsed = time.monotonic() - began
        rest = left_after(elapsed, time_left(elapsed, done=done, missing=len(seeds) - done))
        console.print(f"{done} of at most {len(seeds)}: {record.name}: {shown}, {rest}", markup=False)
    click.echo(str(out))


@corpus.command("export", short_help="Export a run's corpus.")
@click.argument("run")
@click.option("--out", type=NEW_FOLDER, required=True, help="The new folder.")
@click.option("--cycle", type=click.IntRange(min=0), help="Up to the end of this cycle; 0 for the seed corpus alone.")
@click.option(
    "--format",
    "chosen",
    type=click.Choice(["parquet", "jsonl", "both"]),
    default="both",
    show_default=True,
    help="Parquet shards, JSON Lines, or both.",
)
@runs_option
@cache_option
def corpus_export(*, run: str, out: Path, cycle: int | None, chosen: str, runs: Path, cache: Path) -> None:
    """Export the corpus of RUN as a folder that `datasets.load_dataset` reads, with a data card and licence texts."""
    from orchestrator.report.export.exports import FORMATS, export_corpus

    formats = FORMATS if chosen == "both" else (chosen,)
    exported = export_corpus(opened(run, runs), out, cache=cache, cycle=cycle, formats=formats)
    if exported.unlicensed is not None:
        tell(f"{exported.unlicensed}: put its licence texts beside the data before you give it away")
    tell(f"{exported.entries:,} entries up to cycle {exported.cycles}")
    click.echo(str(out))


def _table(report: Sequence[Mapping[str, Any]]) -> Table:
    from rich.table import Table

    from orchestrator.corpus.curation import table as rows

    shown = Table(title="curation")
    for name in ("stage", "kept", "dropped", "the paper's", "reasons"):
        shown.add_column(name, justify="left" if name in {"stage", "reasons"} else "right")
    for name, kept, dropped, paper, reasons in rows(report):
        shown.add_row(name, f"{kept:,}", f"{dropped:,}", "" if paper is None else f"{paper:,}", reasons)
    return shown
