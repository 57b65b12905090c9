"""The connection to the Docker engine: which one, how old, and its failures as ours."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrator.errors import ConfigError, InfrastructureError

if TYPE_CHECKING:
    import docker

MINIMUM = (20, 10, 10)
CALL_TIMEOUT = 60  # seconds for one call to the engine, unless the environment says otherwise
TIMEOUT = "DOCKER_CLIENT_TIMEOUT"  # Docker Compose's own name for it


def connect() -> docker.DockerClient:
    """Return a client of the engine that the environment names, after checking that it answers and is new enough.

    Like DOCKER_HOST, DOCKER_CLIENT_TIMEOUT may stand in the environment: seconds after which a call that hangs fails.

    Raises:
        ConfigError: DOCKER_CLIENT_TIMEOUT is no number of seconds.
        InfrastructureError: no engine answers, or it is older than 20.10.10 (whose seccomp breaks clone3).
    """
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        client = docker.from_env(timeout=call_timeout(os.environ.get(TIMEOUT)), max_pool_size=64)
        version = client.version()["Version"]
    except (DockerException, RequestException) as error:
        raise InfrastructureError(
            f"no Docker engine answers ({error}); start one, or point DOCKER_HOST at one, and run the command again"
        ) from error
    numbers = tuple(int(part) for part in version.split("+")[0].split("-")[0].split(".")[:3] if part.isdigit())
    if numbers < MINIMUM:
        client.close()
        raise InfrastructureError(f"Docker engine {version} at {endpoint(client)} is too old: 20.10.10 is the oldest")
    return client


def call_timeout(text: str | None) -> int:
    """Return the seconds that one call to the engine may take, where the environment says `text`.

    Raises:
        ConfigError: that is no positive whole number.
    """
    if text is None:
        return CALL_TIMEOUT
    if not text.isdecimal() or int(text) == 0:
        raise ConfigError(f"{TIMEOUT}={text}: must be a positive whole number of seconds")
    return int(text)


def endpoint(client: docker.DockerClient) -> str:
    """Return the address that the client talks to, to show to people."""
    socket_path = getattr(client.api.get_adapter(client.api.base_url), "socket_path", None)
    return f"unix://{socket_path}" if socket_path else str(client.api.base_url)


def engine_address() -> str:
    """Return the address of the engine that the environment names.

    Raises:
        InfrastructureError: none answers there.
    """
    with contextlib.closing(connect()) as client:
        return endpoint(client)


def components(client: docker.DockerClient) -> dict[str, str]:
    """Return the versions of the engine's parts by name, as it states them: itself, containerd, runc.

    Raises:
        InfrastructureError: the engine failed.
    """
    with engine_errors("reading the engine's version"):
        parts = client.version().get("Components") or []
    return {str(part["Name"]): str(part["Version"]) for part in parts}


@contextlib.contextmanager
def engine_errors(action: str) -> Iterator[None]:
    """Turn whatever the SDK raises while doing `action` into an InfrastructureError that says so."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException, OSError) as error:
        raise InfrastructureError(f"{action}: {type(error).__name__}: {error}") from error


def ordered_to_end(client: docker.DockerClient, container_id: str, *, since: float) -> bool:
    """Say whether anybody has ordered the engine to end a container `since` then (Unix time).

    Raises:
        InfrastructureError: the engine failed.
    """
    with engine_errors("reading the engine's events"):
        events = client.api.events(
            since=int(since) - 1,
            until=int(time.time()) + 1,
            filters={"container": container_id, "event": ["kill", "stop"]},
            decode=True,
        )
        return any(True for _ in events)
