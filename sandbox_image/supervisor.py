"""Process 1 of a container that serves one candidate: it warms up, forks, relays, and says how the child ended.

It is a convenience and no guard. It holds no secret, and a candidate that took it over would gain nothing: the host
keeps the labels, the clock and the limits.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import resource
import selectors
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sandbox_image import wire

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
HOST_IN = 0
HOST_OUT = 1
CHUNK = 64 * 1024
DRAIN_LIMIT = 1 << 20


def prctl(option: int, value: int) -> None:
    """Call prctl(2); a kernel that refuses is not an error here, since the host checks every limit itself."""
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def send(data: bytes) -> None:
    """Write one encoded frame to the host whole."""
    view = memoryview(data)
    while view:
        view = view[os.write(HOST_OUT, view) :]


def supervise(*, life: float) -> None:
    """Warm up, wait for one job, run it in a child under its own uid, report, and wait to be killed.

    The container ends by itself `life` seconds after its start, or when the host closes the connection.
    """
    prctl(PR_SET_DUMPABLE, 0)
    arm_watchdog(life)
    send(wire.encode_json(wire.READY, _warm()))
    host = wire.Decoder(wire.TO_CONTAINER)
    job, source, rest = _receive_job(host)
    Relay(child=_fork(job, source), host=host, pending=rest, limits=job["log"]).run()
    while os.read(HOST_IN, CHUNK):
        pass


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
            for key, _ in self._selector.select():
                self._serve(key.fd)
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

    def _to_child(self, frames: list[wire.Frame]) -> None:
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
            frames = self._decoder.feed(data)
        except wire.WireError as error:
            self._broken, self._ended = str(error)[:200], True
            return False
        for frame in frames:
            if frame.kind in (wire.PREDICTIONS, wire.ERROR):
                self._final, self._ended = wire.encode(frame.kind, frame.payload), True
                return False
            send(wire.encode(frame.kind, frame.payload))
        return True

    def _from_stream(self, stream: int) -> bool:
        data = os.read(stream, CHUNK)
        if not data:
            return False
        before = self._written.get(stream, 0)
        self._written[stream] = before + len(data)
        kept = data[: max(0, self.limits["stored"] - before)]
        if kept:
            send(wire.encode(self.child.streams[stream], kept))
        if sum(self._written.values()) > self.limits["killed"]:
            self._ended = True
        return True

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


def arm_watchdog(life: float) -> None:
    """End this process, and with it the container, `life` seconds from now."""
    signal.signal(signal.SIGALRM, lambda *_: os._exit(3))
    signal.setitimer(signal.ITIMER_REAL, life)


def _warm() -> dict[str, Any]:
    import numpy
    import torch

    torch.set_num_threads(1)
    weight = torch.zeros(1, requires_grad=True)
    torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    return {
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": sys.version.split()[0],
        "nofile": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }


def _receive_job(host: wire.Decoder) -> tuple[dict[str, Any], bytes, list[wire.Frame]]:
    frames: list[wire.Frame] = []
    while len(frames) < 2:
        data = os.read(HOST_IN, CHUNK)
        if not data:
            os._exit(0)
        frames += host.feed(data)
    return frames[0].json(), frames[1].payload, frames[2:]


def _fork(job: dict[str, Any], source: bytes) -> Child:
    frames_read, frames_write = os.pipe()
    images_read, images_write = os.pipe()
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out_write, 1)
        os.dup2(err_write, 2)
        os.dup2(frames_write, 3)
        os.dup2(images_read, 4)
        os.closerange(5, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        _become(int(job["uid"]))
        _serve(job, source)
    for descriptor in (frames_write, images_read, out_write, err_write):
        os.close(descriptor)
    return Child(pid=pid, frames=frames_read, images=images_write, streams={out_read: wire.STDOUT, err_read: wire.STDERR})


def _become(uid: int) -> None:
    """Give up root for good, in the child, before a byte of the candidate is read."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.setsid()
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    prctl(PR_SET_DUMPABLE, 1)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir("/tmp")  # the only place a candidate may write


def _serve(job: dict[str, Any], source: bytes) -> None:
    from sandbox_image.stages import Channel, run

    sys.stdout, sys.stderr = _unbuffered(1), _unbuffered(2)
    run(job, source, Channel(frames=3, images=4))
    os._exit(0)


def _unbuffered(descriptor: int) -> io.TextIOWrapper:
    raw = open(descriptor, "wb", buffering=0, closefd=False)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


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


def _only_zombies() -> bool:
    for name in os.listdir("/proc"):
        if not name.isdigit() or name == "1":
            continue
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
            if file.read().rpartition(b")")[2].split()[0] != b"Z":
                return False
    return True
