"""A relay between a process and its engine, through which what an engine may do wrong is done on purpose."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import docker
import pytest


class Relay:
    """Stands between this process and its engine; it can lose streams, and kills, which then look as if they failed."""

    def __init__(self, path: Path, *, engine: str) -> None:
        self._engine = engine
        self._attached: dict[str, socket.socket] = {}
        self._fatal, self._losses = b"", 0
        self._kills_lost, self._choosing = 0, threading.Lock()
        self.sessions = 0  # that were opened: a client asks for the version before anything else
        self.spared: list[str] = []
        self.spares = threading.Event()  # set when the first kill was lost
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._start(self._accept)

    def lose(self, client: docker.DockerClient, container_id: str) -> None:
        del client
        self._attached[container_id].shutdown(socket.SHUT_RDWR)

    def lose_with(self, text: bytes, *, times: int = 1) -> None:
        """Lose the first streams into which these bytes are sent."""
        self._fatal, self._losses = text, times

    def lose_kills(self, count: int) -> None:
        """Let that many containers outlive their kill: the engine says that it was done."""
        self._kills_lost = count

    @property
    def lost(self) -> bool:
        """Whether the bytes of `lose_with` came by as often as they should."""
        return self._losses == 0

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=10)
        self._listener.close()

    def _start(self, work: Callable[..., None], *given: socket.socket) -> threading.Thread:
        thread = threading.Thread(target=work, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                self._start(self._relay, self._listener.accept()[0])

    def _relay(self, asking: socket.socket) -> None:
        with asking, socket.socket(socket.AF_UNIX) as answering:
            answering.connect(self._engine)
            answers = self._start(self._pass_on, answering, asking)
            self._pass_on(asking, answering)
            answers.join()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # one of the two is gone
            while data := source.recv(1 << 16):
                self.sessions += data.startswith(b"GET /version ")
                if attach := re.match(rb"POST /\S*/containers/(\w+)/attach", data):
                    self._attached[attach[1].decode()] = source
                if self._spares(data):
                    source.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                    continue
                if any(b"/containers/%s/wait" % spared.encode() in data for spared in self.spared):
                    source.shutdown(socket.SHUT_RDWR)  # as if nobody came to the end of it
                    break
                if self._losses and self._fatal in data:
                    self._losses -= 1
                    source.shutdown(socket.SHUT_RDWR)
                    break
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _spares(self, data: bytes) -> bool:
        kill = re.match(rb"POST /\S*/containers/(\w+)/kill", data)
        if kill is None:
            return False
        with self._choosing:
            if len(self.spared) >= self._kills_lost:
                return False
            self.spared.append(kill[1].decode())
        with closing(docker.DockerClient(base_url=f"unix://{self._engine}")) as straight:
            straight.api.pause(kill[1].decode())  # or it would end when its stream is closed
        self.spares.set()
        return True


@contextmanager
def relaying(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """Put a relay between this process and its engine."""
    path = folder / "engine.sock"
    relay = Relay(path, engine=os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    try:
        yield relay
    finally:
        relay.close()
