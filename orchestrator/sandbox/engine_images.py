"""The images that the engine has, and how it comes by more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import docker
from docker.credentials.errors import StoreError
from docker.errors import DockerException, NotFound
from requests.exceptions import RequestException

from orchestrator.errors import InfrastructureError
from orchestrator.progress import Report
from orchestrator.sandbox.engine_errors import engine_errors

SILENCE = 3600  # seconds that one build step may print nothing: unpacking CUDA's wheels takes minutes
RECENT = 10  # lines of a build that are shown if it fails


@dataclass(frozen=True)
class EngineImage:
    """An image that the engine has."""

    id: str
    labels: Mapping[str, str]


class Images:
    """The images of an open engine; every verb raises InfrastructureError if the engine fails."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._client = client

    def find(self, tag: str) -> EngineImage | None:
        """Return the image of this tag or id; None if the engine has none."""
        with engine_errors(f"looking for the image {tag}"):
            try:
                found = self._client.images.get(tag)
            except NotFound:
                return None
        return EngineImage(id=str(found.id), labels=found.labels)

    def pull(self, tag: str) -> str | None:
        """Pull an image from its registry; return None, or why it could not be had."""
        repository, _, version = tag.partition(":")
        try:
            self._client.images.pull(repository, tag=version or "latest")
        except (DockerException, RequestException, StoreError) as error:
            return str(error)
        return None

    def take_in(self, archive: Path, *, tag: str) -> None:
        """Make an image of a tar archive of its root file system."""
        repository, _, version = tag.partition(":")
        with engine_errors(f"importing {tag}"):
            self._client.api.import_image_from_file(str(archive), repository=repository, tag=version)

    def build(
        self, context: IO[bytes], *, tag: str, arguments: Mapping[str, str], labels: Mapping[str, str], log: Report
    ) -> None:
        """Build an image, without a network, from a tar archive that holds a Dockerfile; `log` receives every line."""
        with engine_errors(f"building {tag}"):
            events = self._client.api.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                buildargs=dict(arguments),
                labels=dict(labels),
                network_mode="none",
                rm=True,
                forcerm=True,
                timeout=SILENCE,
                decode=True,
            )
            _follow(events, tag=tag, log=log)


def _follow(events: Iterable[Mapping[str, Any]], *, tag: str, log: Report) -> None:
    """Hand the builder's lines on; raise InfrastructureError with the last of them if it stops on an error."""
    recent: list[str] = []
    for event in events:
        if "error" in event:
            raise InfrastructureError(f"building {tag}: " + "\n".join([*recent, str(event["error"]).strip()]))
        for line in str(event.get("stream", "")).splitlines():
            if line.strip():
                log(line.strip())
                recent = [*recent[1 - RECENT :], line.strip()]
