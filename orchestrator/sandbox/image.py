"""The sandbox image: built without a network, and built anew only when what goes in has changed."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from orchestrator.errors import InfrastructureError
from orchestrator.making import making
from orchestrator.progress import Report
from orchestrator.records import canonical, digest
from orchestrator.sandbox.engine import Engine
from orchestrator.sandbox.engine_images import EngineImage
from orchestrator.sandbox.image_base import resolve_base
from orchestrator.sandbox.image_wheels import fetch_wheels
from orchestrator.shipped import DOCKERFILE, PROJECT, shipped

Variant = Literal["cpu", "cuda"]

LABEL_RECIPE = "nn-orchestrate.recipe"
LABEL_BASE = "nn-orchestrate.base"
LABEL_WHEELS = "nn-orchestrate.wheels"


@dataclass(frozen=True)
class Recipe:
    """The texts that an image is made from: the Dockerfile, the variant's requirements, and sandbox_image by path."""

    dockerfile: bytes
    requirements: bytes
    sources: Mapping[str, bytes]

    def digest(self, *, base_id: str) -> str:
        """Return the SHA-256 of all that defines the image on top of the base `base_id`."""
        named = {"Dockerfile": self.dockerfile, "requirements.txt": self.requirements, **self.sources}
        return digest(canonical({"base": base_id, **{name: digest(content) for name, content in named.items()}}))


def read_recipe(variant: Variant, *, project: Path = PROJECT) -> Recipe:
    """Read the recipe of a variant, the same one from a checkout and from an installation.

    Raises:
        ConfigError: a file is missing.
    """
    package = project / "sandbox_image"
    sources = {path.relative_to(project).as_posix(): path.read_bytes() for path in sorted(package.rglob("*.py"))}
    return Recipe(
        dockerfile=shipped(DOCKERFILE, project=project).read_bytes(),
        requirements=shipped(f"docker/requirements-{variant}.txt", project=project).read_bytes(),
        sources=sources,
    )


@dataclass(frozen=True)
class LocalImage:
    """An image that the engine has: its id, and the versions of the packages that it was built from."""

    id: str
    packages: dict[str, str]


def local_image(engine: Engine, tag: str) -> LocalImage:
    """Return the local image `tag`; one that was not built here may name no packages.

    Raises:
        InfrastructureError: there is no such image, or the engine failed.
    """
    image = engine.images.find(tag)
    if image is None:
        raise InfrastructureError(
            f"there is no image {tag} at {engine.endpoint}: run `orchestrate image build` with the same --config"
        )
    wheels = (name.split("-") for name in image.labels.get(LABEL_WHEELS, "").split())
    return LocalImage(id=image.id, packages={name: version for name, version, *_ in wheels})


def ensure(engine: Engine, variant: Variant, tag: str, *, cache: Path, base: str | None = None, log: Report) -> str:
    """Return the id of `tag`, building it first unless it was built from this very recipe.

    Raises:
        InfrastructureError: as `build`.
    """
    if (image := _current(engine, variant, tag, base=base)) is None:
        with making(cache / "images" / digest(tag.encode())[:16]):
            image = _current(engine, variant, tag, base=base)
            if image is None:
                return build(engine, variant, tag, cache=cache, base=base, log=log)
    log(f"{tag} is up to date")
    return image


def _current(engine: Engine, variant: Variant, tag: str, *, base: str | None) -> str | None:
    """Return the id of `tag` if it was built from this very recipe."""
    image = engine.images.find(tag)
    if image is None or not _is_current(engine, image, recipe=read_recipe(variant), base=base):
        return None
    return image.id


def build(engine: Engine, variant: Variant, tag: str, *, cache: Path, base: str | None = None, log: Report) -> str:
    """Build the image, tag it, and return its id; `log` receives every line of progress.

    `base` names an image that holds Python 3.11; without it one that exists or can be pulled is taken, else one is
    bootstrapped from Debian packages. Wheels are fetched into `cache`; the build itself has no network.

    Raises:
        InfrastructureError: no base, no wheels, or a step of the build failed; the message says which.
    """
    recipe = read_recipe(variant)
    log(f"engine: {engine.endpoint}")
    base_tag, base_id = resolve_base(engine, base, cache=cache, log=log)
    wheels = fetch_wheels(recipe.requirements, folder=cache / "wheelhouse" / variant, log=log)
    labels = {
        LABEL_RECIPE: recipe.digest(base_id=base_id),
        LABEL_BASE: base_id,
        LABEL_WHEELS: " ".join(path.name for path in wheels),
    }
    with tempfile.TemporaryFile(dir=cache) as context:
        write_context(context, recipe=recipe, wheels=wheels)
        context.seek(0)
        engine.images.build(context, tag=tag, arguments={"BASE": base_tag}, labels=labels, log=log)
    image = engine.images.find(tag)
    if image is None:
        raise InfrastructureError(f"the build ended without an error, but there is no image {tag}")
    log(f"{tag} is {image.id}")
    return image.id


def write_context(stream: IO[bytes], *, recipe: Recipe, wheels: Iterable[Path]) -> None:
    """Write the build context as a tar archive: the same content gives the same bytes, so that layers are re-used."""
    with tarfile.open(fileobj=stream, mode="w") as archive:
        texts = {"Dockerfile": recipe.dockerfile, "requirements.txt": recipe.requirements, **recipe.sources}
        for name, content in sorted(texts.items()):
            archive.addfile(_entry(name, len(content)), io.BytesIO(content))
        for path in wheels:
            with path.open("rb") as wheel:
                archive.addfile(_entry(f"wheels/{path.name}", path.stat().st_size), wheel)


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mode = 0o644
    return entry


def _is_current(engine: Engine, image: EngineImage, *, recipe: Recipe, base: str | None) -> bool:
    base_id = image.labels.get(LABEL_BASE, "")
    wanted = None if base is None else engine.images.find(base)
    if wanted is not None and wanted.id != base_id:
        return False
    return image.labels.get(LABEL_RECIPE) == recipe.digest(base_id=base_id)
