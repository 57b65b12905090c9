"""The sandbox image: built without a network, and built anew only when what goes in has changed."""

from __future__ import annotations

import contextlib
import io
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from orchestrator.errors import InfrastructureError
from orchestrator.records import canonical, digest
from orchestrator.sandbox.engine import connect, endpoint, engine_errors
from orchestrator.sandbox.image_base import resolve_base
from orchestrator.sandbox.image_wheels import fetch_wheels
from orchestrator.shipped import DOCKERFILE, PROJECT, shipped

if TYPE_CHECKING:
    import docker

Variant = Literal["cpu", "cuda"]
Log = Callable[[str], None]

LABEL_RECIPE = "nn-orchestrate.recipe"
LABEL_BASE = "nn-orchestrate.base"
LABEL_WHEELS = "nn-orchestrate.wheels"
SILENCE = 3600  # seconds that one build step may print nothing: unpacking CUDA's wheels takes minutes


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


def local_image(tag: str) -> LocalImage:
    """Return the local image `tag`; one that was not built here may name no packages.

    Raises:
        InfrastructureError: there is no such image, or no engine answers.
    """
    with contextlib.closing(connect()) as client:
        image = _local(client, tag)
        if image is None:
            raise InfrastructureError(
                f"there is no image {tag} at {endpoint(client)}: run `orchestrate image build` with the same --config"
            )
        wheels = (name.split("-") for name in image.labels.get(LABEL_WHEELS, "").split())
        return LocalImage(id=str(image.id), packages={name: version for name, version, *_ in wheels})


def ensure(variant: Variant, tag: str, *, cache: Path, base: str | None = None, log: Log) -> str:
    """Return the id of `tag`, building it first unless it was built from this very recipe.

    Raises:
        InfrastructureError: as `build`.
    """
    recipe = read_recipe(variant)
    with contextlib.closing(connect()) as client:
        image = _local(client, tag)
        if image is not None and _is_current(client, image, recipe=recipe, base=base):
            log(f"{tag} is up to date")
            return str(image.id)
    return build(variant, tag, cache=cache, base=base, log=log)


def build(variant: Variant, tag: str, *, cache: Path, base: str | None = None, log: Log) -> str:
    """Build the image, tag it, and return its id; `log` receives every line of progress.

    `base` names an image that holds Python 3.11; without it one that exists or can be pulled is taken, else one is
    bootstrapped from Debian packages. Wheels are fetched into `cache`; the build itself has no network.

    Raises:
        InfrastructureError: no engine, no base, no wheels, or a step of the build failed; the message says which.
    """
    recipe = read_recipe(variant)
    with contextlib.closing(connect()) as client:
        log(f"engine: {endpoint(client)}")
        base_tag, base_id = resolve_base(client, base, cache=cache, log=log)
        wheels = fetch_wheels(recipe.requirements, folder=cache / "wheelhouse" / variant, log=log)
        labels = {
            LABEL_RECIPE: recipe.digest(base_id=base_id),
            LABEL_BASE: base_id,
            LABEL_WHEELS: " ".join(path.name for path in wheels),
        }
        with tempfile.TemporaryFile(dir=cache) as context, engine_errors(f"building {tag}"):
            write_context(context, recipe=recipe, wheels=wheels)
            context.seek(0)
            events = client.api.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                buildargs={"BASE": base_tag},
                labels=labels,
                network_mode="none",
                rm=True,
                forcerm=True,
                timeout=SILENCE,
                decode=True,
            )
            _follow(events, tag=tag, log=log)
        image = _local(client, tag)
        if image is None:
            raise InfrastructureError(f"the build ended without an error, but there is no image {tag}")
        log(f"{tag} is {image.id}")
        return str(image.id)


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


def _follow(events: Iterable[dict[str, Any]], *, tag: str, log: Log) -> None:
    """Hand the builder's lines on; raise InfrastructureError with the last of them where it stops on an error."""
    recent: list[str] = []
    for event in events:
        if "error" in event:
            raise InfrastructureError(f"building {tag}: " + "\n".join([*recent, str(event["error"]).strip()]))
        for line in str(event.get("stream", "")).splitlines():
            if line.strip():
                log(line.strip())
                recent = [*recent[-9:], line.strip()]


def _is_current(client: docker.DockerClient, image: Any, *, recipe: Recipe, base: str | None) -> bool:
    base_id = image.labels.get(LABEL_BASE, "")
    if base is not None:
        wanted = _local(client, base)
        if wanted is not None and wanted.id != base_id:
            return False
    return bool(image.labels.get(LABEL_RECIPE) == recipe.digest(base_id=base_id))


def _local(client: docker.DockerClient, tag: str) -> Any | None:
    from docker.errors import ImageNotFound

    with engine_errors(f"looking for the image {tag}"):
        try:
            return client.images.get(tag)
        except ImageNotFound:
            return None
