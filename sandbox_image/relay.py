"""What process 1 does while a candidate runs: it carries bounded bytes both ways, and reports how the child ended."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sandbox_image import wire

HOST_IN = 0
HOST_OUT = 1
CHUNK = 64 * 1024
DRAIN_LIMIT = 1 << 20
PIECE = 16 * 1024  # bytes of output that are handed over at once
PATIENCE = 0.05  # seconds that less than that may wait: a frame costs the host more than a byte costs the candidate


def send(data: bytes) -> None:
    """Write one encoded frame to the host whole."""
    view = memoryview(data)
    while view:
        view = view[os.write(HOST_OUT, view) :]


@dataclass(frozen=True)
class Child:
    """The candidate's process and the supervisor's ends of its pipes."""

    pid: int
    frames: int
    images: int
    streams: dict[int, bytes]


@dataclass
class Relay:
    """Carries bytes between host and child until the child has ended, within limits."""

    child: Child
    host: wire.Decoder
    pending: list[wire.Frame]
    limits: dict[str, int]
    _decoder: wire.Decoder = field(default_factory=lambda: wire.Decoder(wire.FROM_CANDIDATE))
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _actions: dict[int, Callable[[], bool]] = field(default_factory=dict)
    _outgoing: bytearray = field(default_factory=bytearray)
    _sent: int = 0
    _written: dict[int, int] = field(default_factory=dict)
    _gathered: dict[int, bytearray] = field(default_factory=dict)
    _handed_over: float = 0.0
    _final: bytes | None = None
    _broken: str | None = None
    _ended: bool = False

    def run(self) -> None:
        """Relay until the child's last frame, its death, a flood or a broken frame; then kill everything and report."""
        wake = _wake_on_child_death()
        self._actions = {HOST_IN: self._from_host, self.child.frames: self._from_child, wake: lambda: _empty(wake)}
        self._actions |= {stream: partial(self._from_stream, stream) for stream in self.child.streams}
        for descriptor in self._actions:
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ)
        os.set_blocking(self.child.images, False)
        self._to_child(self.pending)
        status = self._reap()
        while status is None and not self._ended:
            for key, _ in self._selector.select(PATIENCE if any(self._gathered.values()) else None):
                self._serve(key.fd)
            if time.monotonic() - self._handed_over >= PATIENCE:
                self._hand_over()
            status = self._reap()
        os.set_blocking(HOST_IN, True)
        self._finish(status)

    def _serve(self, descriptor: int) -> None:
        if descriptor == self.child.images:
            self._flush()
            return
        try:
            is_open = self._actions[descriptor]()
        except BlockingIOError:
            return
        if not is_open:
            self._selector.unregister(descriptor)

    def _from_host(self) -> bool:
        data = os.read(HOST_IN, 1 << 20)
        if not data:
            os._exit(0)
        self._to_child(self.host.feed(data))
        return True

    def _to_child(self, frames: Iterable[wire.Frame]) -> None:
        for frame in frames:
            self._outgoing += wire.encode(frame.kind, frame.payload)
        if self._outgoing:
            with contextlib.suppress(KeyError):
                self._selector.register(self.child.images, selectors.EVENT_WRITE)

    def _flush(self) -> None:
        try:
            written = os.write(self.child.images, self._outgoing[self._sent : self._sent + (1 << 20)])
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._selector.unregister(self.child.images)
            return
        self._sent += written
        if self._sent == len(self._outgoing):
            self._outgoing, self._sent = bytearray(), 0
            self._selector.unregister(self.child.images)

    def _from_child(self) -> bool:
        data = os.read(self.child.frames, CHUNK)
        if not data:
            return False
        try:
            for frame in self._decoder.feed(data):
                if frame.kind in (wire.PREDICTIONS, wire.ERROR):
                    self._final, self._ended = wire.encode(frame.kind, frame.payload), True
                    return False
                send(wire.encode(frame.kind, frame.payload))
        except wire.WireError as error:
            self._broken, self._ended = str(error)[:200], True
            return False
        return True

    def _from_stream(self, stream: int) -> bool:
        data = os.read(stream, CHUNK)
        if not data:
            return False
        before = self._written.get(stream, 0)
        self._written[stream] = before + len(data)
        gathered = self._gathered.setdefault(stream, bytearray())
        gathered += data[: max(0, self.limits["stored"] - before)]
        if len(gathered) >= PIECE:
            self._hand_over()
        if sum(self._written.values()) > self.limits["killed"]:
            self._ended = True
        return True

    def _hand_over(self) -> None:
        """Send the output that was gathered."""
        self._handed_over = time.monotonic()
        for stream, gathered in self._gathered.items():
            if gathered:
                send(wire.encode(self.child.streams[stream], bytes(gathered)))
                gathered.clear()

    def _reap(self) -> int | None:
        found = None
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid == self.child.pid:
                    found = status
        return found

    def _finish(self, status: int | None) -> None:
        ordered = status is None
        _kill_everyone()
        if status is None:
            _, status = os.waitpid(self.child.pid, 0)
        flood = sum(self._written.values()) > self.limits["killed"]
        self._drain()
        self._hand_over()
        if self._final:
            send(self._final)
        report: dict[str, Any] = {"ordered": ordered, "flood": flood, "broken": self._broken}
        report["signal"] = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        report["exit_code"] = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        report["log_bytes"] = sum(self._written.values())
        send(wire.encode_json(wire.DEATH, report))

    def _drain(self) -> None:
        descriptors = [*self.child.streams] + ([] if self._ended else [self.child.frames])
        for descriptor in descriptors:
            action = self._actions[descriptor]
            for _ in range(DRAIN_LIMIT // CHUNK):
                try:
                    if not action():
                        break
                except BlockingIOError:
                    break


def _wake_on_child_death() -> int:
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return wake_read


def _empty(descriptor: int) -> bool:
    os.read(descriptor, CHUNK)
    return True


def _kill_everyone() -> None:
    """Kill every process of the container but this one, until none is left to be found."""
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline:
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            return
        if not any(name.isdigit() and name != "1" for name in os.listdir("/proc")):
            return
        if _only_zombies():
            return
        time.sleep(0.001)  # what was killed needs this CPU to end


def _only_zombies() -> bool:
    for name in os.listdir("/proc"):
        if not name.isdigit() or name == "1":
            continue
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
            if file.read().rpartition(b")")[2].split()[0] != b"Z":
                return False
    return True
