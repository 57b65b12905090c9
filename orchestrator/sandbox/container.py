"""One container, used once: created with every limit, attached before it starts, read within bounds, always removed."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from dataclasses import dataclass, field

from orchestrator.errors import InfrastructureError, UnkillableError
from orchestrator.sandbox.cgroup import ControlGroup, Usage
from orchestrator.sandbox.connection import demultiplex
from orchestrator.sandbox.engine import Attachment, Engine
from orchestrator.sandbox.engine_errors import RefusedError
from orchestrator.sandbox.lease import container_name
from orchestrator.sandbox.lockdown import Spec, creation
from orchestrator.sandbox.readback import check_environment, effective_limits
from sandbox_image import wire

PROSE_LIMIT = 64 * 1024
ARRIVALS = 32  # frames that may wait for the host to take them; beyond that the container waits
GRACE = 10  # seconds in which a container that closed its wire may end by itself
DYING = 30  # seconds in which a container that was killed has to be gone
SIGKILL_EXIT = 137
ROOMY = 0.9  # of the memory limit: a peak above it may have been an out-of-memory kill
POLL = 0.5  # seconds between looks at whether the reader should stop


@dataclass(frozen=True)
class Arrival:
    """A frame with when it came (host's monotonic clock), or how the stream ended."""

    at: float
    frame: wire.Frame | None
    broken: str | None = None


@dataclass(frozen=True)
class End:
    """What the engine and the kernel say of a container that has ended; no exit code where somebody else removed it."""

    exit_code: int | None
    oom_killed: bool
    usage: Usage


@dataclass
class Container:
    """A live container with its wire. Close it in every case; closing kills, reads the end and removes."""

    engine: Engine
    spec: Spec
    id: str
    group: ControlGroup
    born: float
    limits: dict[str, int | float | str] = field(default_factory=dict)
    stuck: bool = False  # whether it outlived its kill
    prose: bytearray = field(default_factory=bytearray)
    _attachment: Attachment | None = None
    _ended: End | None = None
    _arrivals: queue.Queue[Arrival] = field(default_factory=lambda: queue.Queue(maxsize=ARRIVALS))
    _reader: threading.Thread | None = None
    _writer: threading.Thread | None = None
    _closing: threading.Event = field(default_factory=threading.Event)
    _called_off: threading.Event = field(default_factory=threading.Event)
    _started: float = field(default_factory=time.time)

    @classmethod
    def start(cls, engine: Engine, spec: Spec, *, group: ControlGroup) -> Container:
        """Create, attach and start a container named after its control group.

        Nothing is left behind where that fails, unless the engine does not answer.

        Raises:
            InfrastructureError: the engine refused, or a limit that it reports is not the one that was asked for.
        """
        identity = engine.create(creation(spec, group), name=container_name(group))
        container = cls(engine=engine, spec=spec, id=identity, group=group, born=time.monotonic())
        try:
            container._attach()
            engine.start(container.id)
            container._read_back()
        except BaseException:
            container.close()
            raise
        return container

    @property
    def expires(self) -> float:
        """When the container ends by itself, on the host's monotonic clock."""
        return self.born + self.spec.life

    @property
    def waits(self) -> bool:
        """Whether a container that said that it is ready still waits for its candidate."""
        return self._arrivals.empty()

    def send(self, data: bytes, *, timeout: float) -> bool:
        """Send bytes to the container's stdin; False where it does not take them in time or has gone."""
        attachment = self._attachment
        if attachment is None:
            return False
        try:
            with attachment.stream.dup() as writer:
                writer.settimeout(timeout)
                writer.sendall(data)
        except OSError:
            return False
        return True

    def send_aside(self, data: bytes, *, timeout: float) -> None:
        """Send as `send` does, in a thread, so that what the container says meanwhile can be received."""
        options = {"data": data, "timeout": timeout}
        self._writer = threading.Thread(target=self.send, kwargs=options, name=f"send-{self.id[:12]}", daemon=True)
        self._writer.start()

    def receive(self, *, deadline: float) -> Arrival | None:
        """Return the next frame or the end of the stream; None where `deadline` (monotonic) passes first.

        Raises:
            InfrastructureError: the conversation was called off.
        """
        try:
            arrival = self._arrivals.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            arrival = None
        if self._called_off.is_set():
            raise InfrastructureError("the evaluation was called off")
        return arrival

    def call_off(self) -> None:
        """Make whoever talks to the container stop at once, and close it; from any thread."""
        self._called_off.set()
        with contextlib.suppress(queue.Full):  # then the reader of the queue is awake anyway
            self._arrivals.put_nowait(Arrival(at=time.monotonic(), frame=None))

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
        if elsewhere or gone or (runc and end.exit_code == SIGKILL_EXIT and self._had_room(end.usage)):
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
        self._closing.set()
        try:
            self._ended = self._end(grace)
            return self._ended
        finally:
            if self._attachment is not None:
                self._attachment.close()
                self._attachment = None
            for thread in (self._reader, self._writer):
                if thread is not None:
                    thread.join(timeout=5)
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
        oom_kills = self.group.oom_kills(self.id)  # the engine learns of one by an event, which may come too late
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
            out_of_memory = oom_kills > 0 and not self._had_room(usage)  # with room it was the machine's memory
            return End(shown.exit_code, shown.oom_killed or out_of_memory, usage)
        finally:
            if not self.stuck:
                engine.remove(self.id)

    def _had_room(self, usage: Usage) -> bool:
        return usage.peak_memory is not None and usage.peak_memory < ROOMY * self.spec.limits.memory

    def _attach(self) -> None:
        self._attachment = self.engine.attach(self.id)
        self._attachment.stream.settimeout(POLL)
        self._reader = threading.Thread(target=self._read, name=f"wire-{self.id[:12]}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Take apart the engine's multiplexed stream, then the frames in it; runs in a thread of its own."""
        decoder = wire.Decoder(wire.FROM_SUPERVISOR if self.spec.supervised else wire.FROM_PARSER)
        raw = bytearray()
        broken = None
        while not self._closing.is_set():
            try:
                data = self._attachment.stream.recv(1 << 18) if self._attachment else b""
            except TimeoutError:
                continue
            except OSError:
                break
            if not data:
                break
            raw += data
            try:
                for stream, payload in demultiplex(raw):
                    self._take(stream, payload, decoder)
            except wire.WireError as error:
                broken = str(error)
                break
        self._arrive(Arrival(at=time.monotonic(), frame=None, broken=broken))

    def _take(self, stream: int, payload: bytes, decoder: wire.Decoder) -> None:
        if stream == 1:
            now = time.monotonic()
            for frame in decoder.feed(payload):
                self._arrive(Arrival(at=now, frame=frame))
        elif len(self.prose) < PROSE_LIMIT:
            self.prose += payload[: PROSE_LIMIT - len(self.prose)]

    def _arrive(self, arrival: Arrival) -> None:
        """Hand a frame over; while nobody takes any, what the container still says waits inside it."""
        while not self._closing.is_set():
            with contextlib.suppress(queue.Full):
                self._arrivals.put(arrival, timeout=POLL)
                return

    def _read_back(self) -> None:
        shown = self.engine.inspect(self.id)
        if shown is None:
            raise InfrastructureError(f"container {self.id[:12]} was removed as soon as it was started")
        check_environment(shown.environment)
        self.limits = effective_limits(self.spec, shown.host, self.group.limits(self.id))


def await_ready(container: Container, *, seconds: float) -> dict[str, object]:
    """Wait until a container says that it is ready, and return what it said.

    Raises:
        InfrastructureError: it did not, which is nobody's fault but ours; the container is closed.
    """
    arrival = container.receive(deadline=time.monotonic() + seconds)
    with contextlib.suppress(wire.WireError):
        if arrival is not None and arrival.frame is not None and arrival.frame.kind == wire.READY:
            return arrival.frame.json()
    end = container.close()
    prose = bytes(container.prose).decode("utf-8", "replace").strip()[-500:]
    happened = f"was not ready after {seconds:g} s" if arrival is None else "ended before it was ready"
    raise InfrastructureError(f"a sandbox container {happened} (exit code {end.exit_code}): {prose or 'no output'}")
