"""A parser container without a container: the product's own parser behind the wire, in this process."""

from __future__ import annotations

import time
from collections import deque
from types import SimpleNamespace
from typing import Any, cast

from orchestrator.errors import InfrastructureError
from orchestrator.sandbox import Parser
from orchestrator.sandbox.connection import Arrival, Connection
from orchestrator.sandbox.container import Container
from sandbox_image import wire
from sandbox_image.parser import inspect

KILLER = b"# kills the parser\n"
BABBLER = b"# makes the parser say what it must not\n"
SLEEPER = b"# is never answered\n"
DEADLINE = 0.05


class ParserContainer:
    """A container, and its connection, that answers each program as soon as it is sent.

    `log` holds what was sent to every container, in order. A `mute` one never says that it is ready.
    """

    def __init__(self, log: list[list[bytes]], *, mute: bool = False) -> None:
        self.sent: list[bytes] = []
        log.append(self.sent)
        self.connection = cast("Connection", self)
        self.closed = False
        self.expires = time.monotonic() + 10_000
        self.prose = bytearray()
        self.spec = SimpleNamespace(runtime="runc", train=None)
        self._said = deque([] if mute else [Arrival(at=0.0, frame=wire.Frame(wire.READY, b"{}"))])
        self._dead = self._off = False

    def send(self, data: bytes, *, timeout: float) -> bool:
        if self._dead:
            return False
        frames = list(wire.Decoder(wire.TO_CONTAINER).feed(data))
        for job, source in zip(frames[::2], frames[1::2], strict=True):
            self.sent.append(source.payload)
            self._serve(job.json(), source.payload)
        return True

    def receive(self, *, deadline: float) -> Arrival | None:
        if self._off:
            raise InfrastructureError("called off")
        return self._said.popleft() if self._said else None

    def call_off(self) -> None:
        self._off = True

    def close_silent(self) -> Any:
        self.close()
        return SimpleNamespace(oom_killed=False)

    def close(self) -> Any:
        self.closed = True
        return SimpleNamespace(exit_code=0)

    def _serve(self, job: dict[str, Any], source: bytes) -> None:
        if self._dead or source == SLEEPER:
            self._dead = True
        elif source == KILLER:
            self._dead = True
            self._said.append(Arrival(at=0.0, frame=None))
        else:
            found = inspect(source, **job)
            said = {name: getattr(found, name) for name in ("state", "stage", "cause", "tokens")}
            said |= {name: list(getattr(found, name)) for name in ("completed", "imports", "hyperparameters")}
            said |= {"hyperparameters_known": found.hyperparameters_known}
            if source == BABBLER:
                said["accuracy"] = 1.0
            if found.program != source:
                self._say(wire.encode(wire.PROGRAM, found.program))
            if found.stripped is not None:
                self._say(wire.encode(wire.STRIPPED, found.stripped))
            self._say(wire.encode(wire.SHINGLES, found.shingles) + wire.encode_json(wire.PARSED, said))

    def _say(self, data: bytes) -> None:
        self._said.extend(Arrival(at=0.0, frame=frame) for frame in wire.Decoder(wire.FROM_PARSER).feed(data))


def parser(
    log: list[list[bytes]],
    *,
    uses: int = 200,
    made: list[ParserContainer] | None = None,
    mute: int = 0,
) -> Parser:
    """Return a parser whose containers are such ones, the first so many of them mute."""
    all_made = [] if made is None else made

    def start() -> Container:
        container = ParserContainer(log, mute=len(all_made) < mute)
        all_made.append(container)
        return cast("Container", container)

    return Parser(start, uses=uses, deadline=DEADLINE, ready=1.0, shingle=10)
