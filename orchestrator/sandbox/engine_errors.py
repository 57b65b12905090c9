"""The failures of the engine, as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from docker.credentials.errors import StoreError
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from orchestrator.errors import InfrastructureError

CREDENTIALS = (
    "Docker's config.json (in ~/.docker or DOCKER_CONFIG) names a helper for credentials that does not work here;"
    " install it, or remove credsStore and credHelpers from that file, for no image of this project needs any"
)


class RefusedError(InfrastructureError):
    """The engine answered, and did not do what it was asked; `conflict` if something else is being done already."""

    def __init__(self, message: str, *, conflict: bool) -> None:
        super().__init__(message)
        self.conflict = conflict


@contextmanager
def engine_errors(action: str) -> Iterator[None]:
    """Turn whatever the SDK raises while doing `action` into an error of ours that says so."""
    try:
        yield
    except APIError as error:
        conflict = error.status_code == HTTPStatus.CONFLICT
        raise RefusedError(f"{action}: {type(error).__name__}: {error}", conflict=conflict) from error
    except StoreError as error:
        raise InfrastructureError(f"{action}: {error}: {CREDENTIALS}") from error
    except (DockerException, RequestException, HTTPError, OSError) as error:
        raise InfrastructureError(f"{action}: {type(error).__name__}: {error}") from error
