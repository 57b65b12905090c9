"""One container, used once: created with every limit, attached before it starts, always removed."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import InfrastructureError, UnkillableError
from orchestrator.records import NOT_READ
from orchestrator.sandbox.cgroup import ControlGroup, Usage
from orchestrator.sandbox.connection import Connection
from orchestrator.sandbox.engine import Engine
from orchestrator.sandbox.engine_errors import RefusedError
from orchestrator.sandbox.lease import container_name
from orchestrator.sandbox.lockdown import Spec, creation
from orchestrator.sandbox.readback import check_environment, effective_limits
from sandbox_image import wire

INSIDE = Path("/data")  # of a container: the training data
LAST_WORDS = 500  # characters of a container's stderr that are shown if it does not get ready
GRACE = 10  # seconds in which a container that closed its wire may end by itself
DYING = 30  # seconds in which a container that was killed has to be gone
SIGKILL_EXIT = 137
ROOMY = 0.9  # of the memory limit: a peak above it may have been an out-of-memory kill


@dataclass(frozen=True)
class End:
    """What the engine and the kernel say of a container that has ended; no exit code where somebody else removed it."""

    exit_code: int | None
    oom_killed: bool
    usage: Usage


@dataclass
class Container:
    """A live container, which is talked to over `connection`.

    Close it in every case: closing kills it, reads how it ended, and removes it.
    """

    engine: Engine
    spec: Spec
    id: str
    group: ControlGroup
    connection: Connection
    born: float = field(default_factory=time.monotonic)
    limits: dict[str, int | float | str] = field(default_factory=dict)
    stuck: bool = False  # whether it outlived its kill
    _ended: End | None = None
    _started: float = field(default_factory=time.time)

    @classmethod
    def start(cls, engine: Engine, spec: Spec, *, group: ControlGroup) -> Container:
        """Create, attach and start a container named after its control group.

        Nothing is left behind if that fails, unless the engine does not answer.

        Raises:
            InfrastructureError: the engine refused, or a limit that it reports is not the one that was asked for.
        """
        identity = engine.create(creation(spec, group), name=container_name(group))
        decoder = wire.Decoder(wire.FROM_SUPERVISOR if spec.supervised else wire.FROM_PARSER)
        connection = Connection(decoder=decoder, name=identity[:12])
        container = cls(engine=engine, spec=spec, id=identity, group=group, connection=connection)
        try:
            connection.open(engine.attach(identity))
            engine.start(identity)
            container._read_back()
        except BaseException:
            container.close()
            raise
        return container

    @property
    def expires(self) -> float:
        """When the container ends by itself, on the host's monotonic clock."""
        return self.born + self.spec.life

    def close_silent(self) -> End:
        """Close a container that ended without a word, where that was the candidate's doing.

        Under runc no process inside can kill process 1 or make it end by itself, so its SIGKILL without an
        out-of-memory kill came from outside, and its exit with 0 without a word is what it does where the stream to
        the host is lost. Under gVisor the whole sandbox dies of what a candidate does, so silence there is the
        candidate's.

        Raises:
            InfrastructureError: somebody else ended it; it is closed all the same.
        """
        elsewhere = self.engine.ordered_to_end(self.id, since=self._started)
        end = self.close(grace=GRACE)
        gone = end.exit_code is None  # removed, or lost by an engine that was started again
        runc = self.spec.runtime == "runc" and not end.oom_killed
        if elsewhere or gone or (runc and end.exit_code == SIGKILL_EXIT and not self._was_full(end.usage)):
            raise InfrastructureError(f"container {self.id[:12]} was killed from outside")
        if runc and end.exit_code == 0:
            raise InfrastructureError(f"the stream of container {self.id[:12]} was lost")
        return end

    def close(self, *, grace: int = 0) -> End:
        """End the container (after `grace` seconds in which it may do so itself) and remove every trace of it.

        Closing it again changes nothing and returns what the first time returned.

        Raises:
            UnkillableError: it runs on although it was killed; it is then `stuck`, and closing it again does nothing.
            InfrastructureError: the engine failed.
        """
        if self._ended is not None:
            return self._ended
        if self.stuck:
            return self.remains()
        self.connection.stop()
        try:
            self._ended = self._end(grace)
            return self._ended
        finally:
            self.connection.close()
            self.group.remove()

    def vanished(self) -> bool:
        """Whether a container that was stuck has ended at last; it is then removed."""
        try:
            shown = self.engine.inspect(self.id)
            if shown is not None and shown.running:
                return False
            self.engine.remove(self.id)
        except RefusedError:
            return False
        self.group.remove()
        return True

    def remains(self) -> End:
        """Return what can be said of a container that is stuck."""
        return End(exit_code=None, oom_killed=False, usage=self.group.usage())

    def _end(self, grace: int) -> End:
        engine = self.engine
        oom_kills = self.group.oom_kills()  # the engine learns of one by an event, which may come too late
        try:
            if grace:
                engine.wait(self.id, seconds=grace)
            engine.kill(self.id)
            shown = engine.inspect(self.id)
            if shown is not None and shown.running:
                engine.wait(self.id, seconds=DYING)
                shown = engine.inspect(self.id)
            if shown is None:
                return self.remains()
            if shown.running:
                self.stuck = True
                raise UnkillableError(f"container {self.id[:12]} runs on although it was killed")
            usage = self.group.usage()
            out_of_memory = oom_kills > 0 and self._was_full(usage, unknown=True)  # else the machine's memory
            return End(shown.exit_code, shown.oom_killed or out_of_memory, usage)
        finally:
            if not self.stuck:
                engine.remove(self.id)

    def _was_full(self, usage: Usage, *, unknown: bool = False) -> bool:
        """Whether its memory had come near the limit; `unknown` if its peak cannot be read."""
        return unknown if usage.peak_memory is None else usage.peak_memory >= ROOMY * self.spec.limits.memory

    def _read_back(self) -> None:
        shown = self.engine.inspect(self.id)
        if shown is None:
            raise InfrastructureError(f"container {self.id[:12]} was removed as soon as it was started")
        check_environment(shown.environment)
        self.group = self.group.located(shown.pid)
        self.limits = effective_limits(self.spec, shown.host, self.group.limits())
        if missing := self.group.not_read():
            self.limits[NOT_READ] = missing


def await_ready(container: Container, *, seconds: float) -> dict[str, object]:
    """Wait until a container says that it is ready, and return what it said.

    Raises:
        InfrastructureError: it did not, which is nobody's fault but ours; the container is closed.
    """
    arrival = container.connection.receive(deadline=time.monotonic() + seconds)
    with suppress(wire.WireError):
        if arrival is not None and arrival.frame is not None and arrival.frame.kind == wire.READY:
            return arrival.frame.json()
    end = container.close()
    prose = bytes(container.connection.prose).decode("utf-8", "replace").strip()[-LAST_WORDS:]
    happened = f"was not ready after {seconds:g} s" if arrival is None else "ended before it was ready"
    told = f"a sandbox container {happened} (exit code {end.exit_code}): {prose or _no_output(container)}"
    if str(INSIDE) in prose and (train := container.spec.train) is not None:
        told += (
            f"; {INSIDE} is {train.resolve()} here: let all read it (`chmod -R a+rX`), and containers, too, under"
            " SELinux (`chcon -R -t container_file_t`)"
        )
    raise InfrastructureError(told)


def _no_output(container: Container) -> str:
    """Say where else to look, for only a runtime that is a kernel of its own ends without a word."""
    runtime = container.spec.runtime
    return "no output" if runtime == "runc" else f"no output; {container.engine.log_of(runtime)}"
