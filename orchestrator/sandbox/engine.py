"""The seam to the Docker engine: what is asked of it, in our own words, and its failures as ours.

Nothing of the SDK leaves this file. Another kind of engine is a file beside it that offers the same verbs.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import docker
from docker.errors import DockerException, NotFound
from requests.exceptions import RequestException

from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.sandbox.engine_address import address
from orchestrator.sandbox.engine_errors import RefusedError, engine_errors
from orchestrator.sandbox.engine_images import Images
from orchestrator.sandbox.tls_bridge import Bridge

MINIMUM = (20, 10, 10)
CALL_TIMEOUT = 60  # seconds for one call to the engine, unless the environment says otherwise
TIMEOUT = "DOCKER_CLIENT_TIMEOUT"  # Docker Compose's own name for it
NO_GPU = "could not select device driver"  # what Docker says
NO_SOURCE = "bind source path does not exist"  # the same
DEBUG_LOG = "--debug-log="  # gVisor's option
BUNDLES = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}  # which take the place of the engine's own authority
CONNECTIONS = 64  # that stay open to the engine, for as many threads


@dataclass(frozen=True)
class EngineInfo:
    """What the engine says of itself and of its machine; `runtimes` holds the path of each, if it states one."""

    version: str | None
    kernel: str | None
    architecture: str | None
    cgroup_driver: str
    cgroup_version: str
    runtimes: Mapping[str, str]
    security: tuple[str, ...]

    @property
    def rootless(self) -> bool:
        """Whether the engine runs without root, and its containers below its user's own service manager."""
        return "name=rootless" in self.security


@dataclass(frozen=True)
class Shown:
    """What the engine shows of a container; `host` is the API's HostConfig, `environment` holds `NAME=value`.

    `pid` is its first process on the engine's machine, 0 if it does not run.
    """

    running: bool
    pid: int
    exit_code: int | None
    oom_killed: bool
    environment: tuple[str, ...]
    host: Mapping[str, Any]


@dataclass(frozen=True)
class Listed:
    """A container in the engine's list; the name is empty while the engine gives it none."""

    id: str
    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Attachment:
    """An open socket to a container's stdin, stdout and stderr, in the API's multiplexed form."""

    stream: socket.socket
    _keeper: Any  # what the SDK holds the socket by

    def close(self) -> None:
        """Close the socket; whoever reads from it comes to an end."""
        with contextlib.suppress(OSError):
            self.stream.shutdown(socket.SHUT_RDWR)
        self.stream.close()
        self._keeper.close()


class Engine:
    """A session with the engine that the environment names; a context manager, and safe to share between threads.

    Like DOCKER_HOST, DOCKER_CLIENT_TIMEOUT may stand in the environment: seconds after which a call that hangs fails.

    Entering it raises ConfigError if that is no number of seconds, and InfrastructureError if no engine answers, it is
    Podman or another machine's, or it is older than 20.10.10 (whose seccomp breaks clone3). Every verb raises
    InfrastructureError if the engine fails, and RefusedError, which is one, if the engine answers and refuses.
    """

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._client = _client(call_timeout(os.environ.get(TIMEOUT)))
            stack.callback(self._client.close)
            self._api = self._client.api
            self.images = Images(self._client)
            try:
                self._version: Mapping[str, Any] = self._client.version()
            except (DockerException, RequestException) as error:
                raise _silent(error) from error
            self._refuse_podman()
            version = self._version["Version"]
            numbers = tuple(int(part) for part in version.split("+")[0].split("-")[0].split(".")[:3] if part.isdigit())
            if numbers < MINIMUM:
                raise InfrastructureError(
                    f"Docker engine {version} at {self.endpoint} is too old: 20.10.10 is the oldest"
                )
            stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def _refuse_podman(self) -> None:
        version = next((said for name, said in self.components().items() if "podman" in name.lower()), None)
        if version is not None:
            raise InfrastructureError(
                f"the engine at {self.endpoint} is Podman {version}, which ignores masked paths and limits on inodes:"
                " use Docker (rootless Docker, if it must run without root), and let DOCKER_HOST name it"
            )

    @property
    def endpoint(self) -> str:
        """The address of the engine, to show to people: DOCKER_HOST may have moved it to another machine."""
        socket_path = getattr(self._api.get_adapter(self._api.base_url), "socket_path", None)
        return f"unix://{socket_path}" if socket_path else str(self._api.base_url)

    def info(self) -> EngineInfo:
        """Return what the engine says of itself and of its machine."""
        with engine_errors("reading the engine's settings"):
            told = self._api.info()
        return EngineInfo(
            version=told.get("ServerVersion"),
            kernel=told.get("KernelVersion"),
            architecture=told.get("Architecture"),
            cgroup_driver=str(told.get("CgroupDriver", "cgroupfs")),
            cgroup_version=str(told.get("CgroupVersion", "1")),
            runtimes={name: runtime.get("path", "") for name, runtime in (told.get("Runtimes") or {}).items()},
            security=tuple(told.get("SecurityOptions") or ()),
        )

    def log_of(self, runtime: str) -> str:
        """Say where a runtime writes its own log, or how it is told to."""
        with engine_errors("reading the engine's settings"):
            registered = (self._api.info().get("Runtimes") or {}).get(runtime) or {}
        place = next((one for one in registered.get("runtimeArgs") or () if one.startswith(DEBUG_LOG)), None)
        if place is not None:
            return f"its own log is in {place.removeprefix(DEBUG_LOG)} on the engine's machine"
        return (
            f"{runtime} writes a log if the engine's daemon.json adds {DEBUG_LOG}/var/log/{runtime}/ to its runtimeArgs"
        )

    def components(self) -> dict[str, str]:
        """Return the versions of the engine's parts by name, as it stated them: itself, containerd, runc."""
        return {str(part["Name"]): str(part["Version"]) for part in self._version.get("Components") or ()}

    def create(self, what: dict[str, Any], *, name: str) -> str:
        """Create a container from the body of the API's create call, to which nothing is added, and return its id."""
        try:
            with engine_errors("creating a container"):
                return str(self._api.create_container_from_config(what, name)["Id"])  # type: ignore[no-untyped-call]
        except RefusedError as error:
            if NO_SOURCE in str(error):
                raise InfrastructureError(f"{error}: {elsewhere(self.endpoint)}") from error
            raise

    def attach(self, container_id: str) -> Attachment:
        """Open the stdin, stdout and stderr of a container; before its start, so that nothing is missed."""
        options = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        with engine_errors("attaching to a container"):
            opened = self._api.attach_socket(container_id, params=options)
        stream = getattr(opened, "_sock", opened)
        if isinstance(stream, ssl.SSLSocket):
            bridge = Bridge(stream)
            return Attachment(bridge.plain, bridge)
        return Attachment(stream, opened)

    def start(self, container_id: str) -> None:
        """Start a container that was created."""
        try:
            with engine_errors("starting a container"):
                self._api.start(container_id)
        except RefusedError as error:
            if NO_GPU in str(error):
                raise InfrastructureError(
                    "this engine offers no GPU, and sandbox.gpus names one: install NVIDIA's container toolkit, or set"
                    " sandbox.gpus to [] and sandbox.variant to cpu"
                ) from error
            raise

    def inspect(self, container_id: str) -> Shown | None:
        """Return what the engine shows of a container; None if there is none."""
        with engine_errors(f"inspecting container {container_id[:12]}"):
            try:
                shown = self._api.inspect_container(container_id)
            except NotFound:
                return None
        state = shown["State"]
        return Shown(
            running=bool(state["Running"]),
            pid=int(state.get("Pid") or 0),
            exit_code=state.get("ExitCode"),
            oom_killed=bool(state.get("OOMKilled")),
            environment=tuple(shown["Config"]["Env"] or ()),
            host=shown["HostConfig"],
        )

    def wait(self, container_id: str, *, seconds: int) -> None:
        """Wait for up to so many seconds until a container has ended; whether it has, `inspect` says."""
        with engine_errors(f"waiting for container {container_id[:12]}"), contextlib.suppress(RequestException):
            self._api.wait(container_id, timeout=seconds)

    def kill(self, container_id: str) -> None:
        """Kill a container; nothing happens if it has ended or is gone."""
        with contextlib.suppress(RefusedError), engine_errors(f"killing container {container_id[:12]}"):
            self._api.kill(container_id)

    def remove(self, container_id: str) -> None:
        """Remove a container and its volumes, whatever it does; nothing happens if there is none."""
        with engine_errors(f"removing container {container_id[:12]}"), contextlib.suppress(NotFound):
            self._api.remove_container(container_id, force=True, v=True)

    def listed(self, *, label: str) -> list[Listed]:
        """Return all containers that have the label, running or not."""
        with engine_errors("listing containers"):
            found = self._api.containers(all=True, filters={"label": label})
        return [
            Listed(one["Id"], "".join((one["Names"] or ())[:1]).removeprefix("/"), one["Labels"] or {}) for one in found
        ]

    def ordered_to_end(self, container_id: str, *, since: float) -> bool:
        """Say whether anybody has ordered the engine to end a container `since` then (Unix time)."""
        with engine_errors("reading the engine's events"):
            events = self._api.events(
                since=int(since) - 1,
                until=int(time.time()) + 1,
                filters={"container": container_id, "event": ["kill", "stop"]},
                decode=True,
            )
            return any(True for _ in events)


def _client(timeout: int) -> docker.DockerClient:
    try:
        return docker.DockerClient(timeout=timeout, max_pool_size=CONNECTIONS, **address(os.environ))
    except (DockerException, RequestException) as error:
        raise _silent(error) from error


def _silent(error: Exception) -> InfrastructureError:
    if "CERTIFICATE_VERIFY_FAILED" in str(error) and (named := BUNDLES & os.environ.keys()):
        bundles = " and ".join(sorted(named))
        return InfrastructureError(f"the engine's certificate is not trusted: unset {bundles}, used instead of ca.pem")
    return InfrastructureError(
        f"no Docker engine answers ({error}); start one, or point DOCKER_HOST at one, and run the command again"
    )


def elsewhere(endpoint: str) -> str:
    """Say what follows if an engine does not see the files of this machine."""
    return (
        f"the engine at {endpoint} does not see this machine's files, for it is on another or has mounts of its own"
        " (as Docker from a snap has): let DOCKER_HOST name one that does, or move --cache to a folder that it sees"
    )


def opened(engine: Engine | None) -> AbstractContextManager[Engine]:
    """Give an engine that was lent, which stays open, or a session of one's own."""
    return Engine() if engine is None else nullcontext(engine)


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
