"""Which engine the environment means: DOCKER_HOST, else the Docker context, as the `docker` command reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from docker.context import ContextAPI
from docker.context.config import get_current_context_name
from docker.utils import kwargs_from_env

from orchestrator.errors import InfrastructureError

DEFAULT = "default"  # the context that nobody made: the local socket


def address(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what a client is made with: the engine's address, and TLS if it is spoken.

    Raises:
        InfrastructureError: there is no such context, or the engine can only be another machine's.
    """
    found: dict[str, Any] = dict(kwargs_from_env(dict(environment)))
    if "base_url" not in found:
        found = _of_context(environment) | found
    base_url = str(found.get("base_url", ""))
    if base_url.startswith("ssh://"):
        raise InfrastructureError(
            f"the engine at {base_url} is another machine's, which cannot mount this one's data: run the command"
            " there, or let DOCKER_HOST or `docker context use` name an engine on this machine"
        )
    return found


def _of_context(environment: Mapping[str, str]) -> dict[str, Any]:
    name = environment.get("DOCKER_CONTEXT") or get_current_context_name() or DEFAULT
    if name == DEFAULT:
        return {}
    if ContextAPI.get_context(name) is None:
        raise InfrastructureError(
            f"there is no Docker context {name}: choose one with `docker context use`, or unset DOCKER_CONTEXT"
        )
    return dict(ContextAPI.kwargs_from_context(name=name, environment=dict(environment)))
