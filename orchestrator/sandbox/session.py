"""Starts containers of the configured image and runtime, for the evaluator and for the parser."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator.attempts import bounded
from orchestrator.errors import InfrastructureError
from orchestrator.machine import gpus
from orchestrator.records import digest
from orchestrator.records.journal import Recorder, unrecorded
from orchestrator.sandbox.cgroup import ControlGroup, empty_groups
from orchestrator.sandbox.container import Container
from orchestrator.sandbox.engine import Engine, EngineInfo, opened
from orchestrator.sandbox.image import LocalImage, local_image
from orchestrator.sandbox.lease import clear, group_name, reap
from orchestrator.sandbox.lockdown import Spec
from orchestrator.sandbox.parser import Parser
from orchestrator.sandbox.pool import Starting
from orchestrator.sections import SandboxConfig
from orchestrator.shipped import shipped

SECCOMP = "docker/seccomp.json"
VERSION_SECONDS = 10
CLEARINGS = 2  # attempts after the first to leave no container behind
PAUSE, LONGEST_PAUSE = 0.5, 8.0  # seconds between them
GVISOR_PIDS = 1024  # below this the sentry itself starves


class Sandbox:
    """Starts containers of one image, under one runtime and one set of limits; a context manager.

    `engine` is one that is open, and stays so; without it the sandbox opens one of its own. `record` learns of every
    container that was started, with the limits read back, and of those that were reaped.

    Leaving it raises InfrastructureError if a container may be left behind: whoever starts next reaps it.
    """

    def __init__(
        self, sandbox: SandboxConfig, *, owner: str, record: Recorder = unrecorded, engine: Engine | None = None
    ) -> None:
        self._sandbox = sandbox
        self._owner = owner
        self._record = record
        self._lent = engine
        self._groups: dict[str, ControlGroup] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.engine = stack.enter_context(opened(self._lent))
            self._image = local_image(self.engine, self._sandbox.image)
            self._seccomp = shipped(SECCOMP).read_text(encoding="utf-8")
            self._info = self.engine.info()
            _check_runtime(self._sandbox.runtime, self._info)
            if reaped := reap(self.engine, driver=self._info.cgroup_driver, rootless=self._info.rootless):
                self._record("reaped", {"containers": reaped})
            self._session = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        attempts = bounded(retries=0 if kind is not None else CLEARINGS, pause=PAUSE, longest=LONGEST_PAUSE)
        with self._session:
            try:
                attempts(clear, self.engine, self._groups)
            except InfrastructureError:
                if kind is None:  # else what is under way says more
                    raise
            finally:
                self._say_what_stays()

    def supervisor(self, *, train: Path, gpu: str | None, slot: int | None = None) -> Container:
        """Start a container for one candidate, with the folder `train` read-only inside, and wait until it is ready."""
        return self.starting(train=train, gpu=gpu, slot=slot).ready()

    def starting(self, *, train: Path, gpu: str | None, slot: int | None = None) -> Starting:
        """Start a container for one candidate, and return it before it is ready."""
        container = self._start("supervise", train=train, gpu=gpu, slot=slot)
        return Starting(container, seconds=self._sandbox.deadlines.ready)

    def parser(self, *, shingle: int) -> Parser:
        """Return a parser whose container starts with the first program; `shingle` is in tokens."""
        return Parser(
            lambda: self._start("parse", train=None, gpu=None),
            uses=self._sandbox.parser_uses,
            deadline=self._sandbox.deadlines.parse,
            ready=self._sandbox.deadlines.ready,
            shingle=shingle,
        )

    def prove(self, *, train: Path, gpus: Iterable[str | None] | None = None) -> None:
        """Raise InfrastructureError unless a container can be started now, with each of `gpus`; all where omitted."""
        for gpu in (self._sandbox.gpus or (None,)) if gpus is None else gpus:
            self.supervisor(train=train, gpu=gpu).close()

    def _say_what_stays(self) -> None:
        """Record the control groups that could not be removed, with why; none usually."""
        empty = empty_groups(self._info.cgroup_driver, rootless=self._info.rootless)
        stays = sorted(self._groups.keys() & set(empty))
        cause = next(filter(None, (self._groups[name].remove() for name in stays)), None)
        if cause is not None:
            self._record("left", {"control_groups": stays, "cause": cause})

    def abandon(self, container: Container) -> None:
        """Leave a container alone that is stuck: who leaves does not wait for it."""
        self._groups.pop(container.group.name, None)

    @property
    def endpoint(self) -> str:
        """The address of the engine, which DOCKER_HOST may have moved to another machine."""
        return self.engine.endpoint

    @property
    def image(self) -> LocalImage:
        """The image that containers are made from."""
        return self._image

    def describe(self) -> dict[str, Any]:
        """Return where candidates run: whatever could change an accuracy or the strength of the lockdown."""
        return {
            "image": self._image.id,
            "packages": self._image.packages,
            "engine": self._info.version,
            "kernel": self._info.kernel,
            "runtime": self._sandbox.runtime,
            "device": list(self._sandbox.gpus) or "cpu",
            **({"gpus": list(gpus())} if self._sandbox.gpus else {}),
            "threads": self._sandbox.threads,
            "seccomp": digest(self._seccomp.encode()),
        }

    def components(self) -> dict[str, str]:
        """Return the versions of the engine's parts, and of the runtime where it is another than the engine's own."""
        found = self.engine.components()
        path = self._info.runtimes.get(self._sandbox.runtime, "")
        stated = _stated_version(path) if self._sandbox.runtime not in found else None
        return found if stated is None else found | {self._sandbox.runtime: stated}

    def _start(self, mode: str, *, train: Path | None, gpu: str | None, slot: int | None = None) -> Container:
        sandbox = self._sandbox
        limits = sandbox.limits
        if sandbox.runtime == "runsc" and limits.pids < GVISOR_PIDS:
            limits = limits.model_copy(update={"pids": GVISOR_PIDS})
        spec = Spec(
            image=self._image.id,
            mode=mode,
            runtime=sandbox.runtime,
            limits=limits,
            life=sandbox.deadlines.life,
            seccomp=self._seccomp,
            owner=self._owner,
            threads=sandbox.threads,
            train=train,
            gpu=gpu,
        )
        group = ControlGroup(group_name(), self._info.cgroup_driver, rootless=self._info.rootless)
        self._groups[group.name] = group
        container = Container.start(self.engine, spec, group=group)
        created = {"container_id": container.id, "mode": mode, "slot": slot, "gpu": gpu, "runtime": sandbox.runtime}
        try:
            self._record("container", created | {"image": self._image.id, "limits": container.limits})
        except BaseException:
            container.close()
            raise
        return container


def _stated_version(path: str) -> str | None:
    """Return the first line that the runtime at `path` says of its version; None where it is not on this machine."""
    try:
        command = [path, "--version"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=VERSION_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.partition("\n")[0].strip() or None


def _check_runtime(runtime: str, info: EngineInfo) -> None:
    if info.cgroup_driver == "none":
        raise InfrastructureError(
            "this rootless engine cannot limit memory, processes and CPUs (cgroup driver none): it needs a machine with"
            " cgroup v2 and systemd"
        )
    if runtime not in info.runtimes:
        known = ", ".join(sorted(info.runtimes))
        raise InfrastructureError(f"sandbox.runtime is {runtime}; the engine knows only {known}")
