"""The wire of one container: bytes go to its stdin, and frames come from its stdout as they arrive."""

from __future__ import annotations

import queue
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.errors import InfrastructureError
from orchestrator.sandbox.engine import Attachment
from sandbox_image import wire

STREAM_HEADER = struct.Struct(">BxxxL")  # of the engine's multiplexed stream (Docker API, attach): stream, length
STDOUT = 1
PROSE_LIMIT = 64 * 1024
ARRIVALS = 32  # frames that may wait for the host to take them; beyond that the container waits
CHUNK = 1 << 18  # bytes that are read at once
POLL = 0.5  # seconds between looks at whether the reader should stop
GAP = 1.0  # seconds beyond POLL without a sign of life of any thread, after which this process has not been running
STILL = 2.0  # seconds after a deadline beyond which whoever waits for it has not been running
JOINING = 5  # seconds in which a thread that was told to stop has to end


@dataclass(frozen=True)
class Arrival:
    """A frame with when it came (host's monotonic clock), or how the stream ended."""

    at: float
    frame: wire.Frame | None
    broken: str | None = None


class Connection:
    """Talks to one container; `name` tells its threads apart, `decoder` knows which frames it may send.

    `prose` is the beginning of what the container wrote to its stderr.
    """

    def __init__(self, *, decoder: wire.Decoder, name: str) -> None:
        self.prose = bytearray()
        self._decoder = decoder
        self._name = name
        self._attachment: Attachment | None = None
        self._arrivals: queue.Queue[Arrival] = queue.Queue(maxsize=ARRIVALS)
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()
        self._called_off = threading.Event()
        self._alive = time.monotonic()
        self._stood_until = 0.0

    def open(self, attachment: Attachment) -> None:
        """Talk over an attachment from now on; `close` closes it."""
        self._attachment = attachment
        self._alive = time.monotonic()
        attachment.stream.settimeout(POLL)
        self._run(threading.Thread(target=self._read, args=(attachment,), name=f"wire-{self._name}", daemon=True))

    @property
    def quiet(self) -> bool:
        """Whether nothing has arrived that nobody has received yet."""
        return self._arrivals.empty()

    def send(self, data: bytes, *, timeout: float) -> bool:
        """Send bytes to the container's stdin; False if it does not take them in time or has gone."""
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
        self._run(threading.Thread(target=self.send, kwargs=options, name=f"send-{self._name}", daemon=True))

    def receive(self, *, deadline: float) -> Arrival | None:
        """Return the next frame or the end of the stream; None if `deadline` (monotonic) passes first.

        Raises:
            InfrastructureError: the conversation was called off; or this process stood still when the deadline passed
                (it was suspended, say), so that nobody knows whether the container was in time.
        """
        while True:
            arrival = self._next(min(POLL, max(0.0, deadline - time.monotonic())))
            now = self._beat()
            if self._called_off.is_set():
                raise InfrastructureError("the evaluation was called off")
            missed = now > deadline and (arrival is None or arrival.at > deadline)
            if missed and (self._stood_until > deadline or now - deadline > STILL):
                raise InfrastructureError("the orchestrator stood still while a deadline passed")
            if arrival is not None or now >= deadline:
                return arrival

    def _beat(self) -> float:
        """Return the time, and note when this process has last not been running for a while; from any thread."""
        now = time.monotonic()
        if now - self._alive > POLL + GAP:
            self._stood_until = now
        self._alive = now
        return now

    def _next(self, wait: float) -> Arrival | None:
        with suppress(queue.Empty):
            return self._arrivals.get(timeout=wait)
        return None

    def call_off(self) -> None:
        """Make whoever receives stop at once; from any thread."""
        self._called_off.set()
        with suppress(queue.Full):  # then whoever receives is awake anyway
            self._arrivals.put_nowait(Arrival(at=time.monotonic(), frame=None))

    def stop(self) -> None:
        """Read no more: whatever the container still says waits inside it."""
        self._stopped.set()

    def close(self) -> None:
        """End the conversation and its threads; closing again changes nothing."""
        self.stop()
        if self._attachment is not None:
            self._attachment.close()
            self._attachment = None
        for thread in self._threads:
            thread.join(timeout=JOINING)

    def _run(self, thread: threading.Thread) -> None:
        thread.start()
        self._threads.append(thread)

    def _read(self, attachment: Attachment) -> None:
        """Take apart the engine's multiplexed stream, then the frames in it; runs in a thread of its own."""
        raw = bytearray()
        broken = None
        while not self._stopped.is_set():
            self._beat()
            try:
                data = attachment.stream.recv(CHUNK)
            except TimeoutError:
                continue
            except OSError:
                break
            if not data:
                break
            raw += data
            try:
                for stream, payload in demultiplex(raw):
                    self._take(stream, payload)
            except wire.WireError as error:
                broken = str(error)
                break
        self._arrive(Arrival(at=time.monotonic(), frame=None, broken=broken))

    def _take(self, stream: int, payload: bytes) -> None:
        if stream == STDOUT:
            now = time.monotonic()
            for frame in self._decoder.feed(payload):
                self._arrive(Arrival(at=now, frame=frame))
        elif len(self.prose) < PROSE_LIMIT:
            self.prose += payload[: PROSE_LIMIT - len(self.prose)]

    def _arrive(self, arrival: Arrival) -> None:
        """Hand a frame over; while nobody takes any, what the container still says waits inside it."""
        while not self._stopped.is_set():
            self._beat()
            with suppress(queue.Full):
                self._arrivals.put(arrival, timeout=POLL)
                return


def demultiplex(raw: bytearray) -> list[tuple[int, bytes]]:
    """Cut the whole pieces off the front of the engine's stream: (1 for stdout, 2 for stderr; bytes)."""
    pieces = []
    start = 0
    while len(raw) - start >= STREAM_HEADER.size:
        stream, length = STREAM_HEADER.unpack_from(raw, start)
        end = start + STREAM_HEADER.size + length
        if len(raw) < end:
            break
        pieces.append((stream, bytes(raw[start + STREAM_HEADER.size : end])))
        start = end
    del raw[:start]
    return pieces
