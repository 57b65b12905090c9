"""The host's side of the parser container, so that hostile text is never parsed in the host process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from pydantic import ValidationError

from orchestrator.errors import InfrastructureError
from orchestrator.records import Count, Record
from orchestrator.sandbox.container import Container, await_ready
from sandbox_image import wire

LAST_SECONDS = 60.0  # of a parser container's life, in which it takes no new program
ODD = frozenset({"killed", "timeout", "out_of_memory"})


class Findings(Record):
    """What the parser container says of one program."""

    state: Literal["ok", "syntax_error", "contract"]
    stage: Literal["parse", "contract"] | None
    cause: str | None
    completed: tuple[str, ...]
    imports: tuple[str, ...]
    hyperparameters: tuple[str, ...]
    hyperparameters_known: bool
    tokens: Count


@dataclass(frozen=True)
class Parsed:
    """One inspected program: what would run, its form without boilerplate, and its shingles (little-endian uint64).

    `state` is `ok`, or the terminal state that the program ends in, with its stage and cause.
    """

    state: Literal["ok", "syntax_error", "contract", "killed", "timeout", "out_of_memory"]
    stage: Literal["parse", "contract"] | None = None
    cause: str | None = None
    program: bytes = b""
    stripped: bytes | None = None
    completed: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    hyperparameters: tuple[str, ...] = ()
    hyperparameters_known: bool = False
    tokens: int = 0
    shingles: bytes = b""


class Parser:
    """A parser container that is replaced after `uses` programs, and after anything odd."""

    def __init__(
        self, start: Callable[[], Container], *, uses: int, deadline: float, ready: float, shingle: int
    ) -> None:
        self._start = start
        self._uses = uses
        self._deadline = deadline
        self._ready = ready
        self._shingle = shingle
        self._container: Container | None = None
        self._used = 0
        self._closed = False
        self._starting: Container | None = None
        self._changing = threading.Lock()  # held while a container is started or replaced: closing must wait for that

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        if self._starting is not None:
            self._starting.connection.call_off()
        with self._changing:
            self._retire()

    def parse(self, source: bytes, *, complete: bool, strip: bool = False, compact: bool = False) -> Parsed:
        """Inspect one program; whatever it does to the parser is its own failure.

        If anything odd happens, the program is inspected once more in a fresh container, and what happens there stands.

        Raises:
            InfrastructureError: no parser container could be started, or somebody else ended it.
        """
        switches = {"complete": complete, "strip": strip, "compact": compact, "shingle": self._shingle}
        parsed = self._tried(source, switches)
        return self._tried(source, switches) if parsed.state in ODD else parsed

    def _tried(self, source: bytes, switches: dict[str, bool | int]) -> Parsed:
        """Inspect a program once; a container in which anything odd happens is not asked again."""
        container = self._fresh()
        self._used += 1
        deadline = time.monotonic() + self._deadline
        parsed: Parsed | None = None
        try:
            job = wire.encode_json(wire.JOB, switches) + wire.encode(wire.SOURCE, source)
            container.connection.send(job, timeout=self._deadline)
            parsed = self._hear(container, source, deadline)
        except (wire.WireError, ValidationError) as error:
            parsed = Parsed(state="killed", stage="parse", cause=f"broken wire from the parser: {error}"[:200])
        finally:
            if parsed is None or parsed.state in ODD:
                with self._changing:
                    self._retire()
        return parsed

    def _hear(self, container: Container, source: bytes, deadline: float) -> Parsed:
        blobs: dict[bytes, bytes] = {}
        while True:
            arrival = container.connection.receive(deadline=deadline)
            if arrival is None or arrival.at > deadline:
                return Parsed(state="timeout", stage="parse", cause=f"parsing took longer than {self._deadline:g} s")
            if arrival.frame is None:
                return self._died(container, arrival.broken)
            if arrival.frame.kind != wire.PARSED:
                blobs[arrival.frame.kind] = arrival.frame.payload
                continue
            found = Findings.model_validate_json(arrival.frame.payload)
            return Parsed(
                program=blobs.get(wire.PROGRAM, source),  # it is left out if it is the source
                stripped=blobs.get(wire.STRIPPED),
                shingles=blobs.get(wire.SHINGLES, b""),
                **dict(found),
            )

    def _died(self, container: Container, broken: str | None) -> Parsed:
        """Say what the program did to the parser, unless somebody else ended it."""
        if broken is not None:
            return Parsed(state="killed", stage="parse", cause=broken)
        self._container = None
        try:
            end = container.close_silent()
        finally:
            container.close()
        if end.oom_killed:
            return Parsed(state="out_of_memory", stage="parse", cause="the memory limit was reached")
        return Parsed(state="killed", stage="parse", cause="the parser died of it")

    def _fresh(self) -> Container:
        with self._changing:
            if self._closed:
                raise InfrastructureError("the parser was closed")
            container = self._container
            if container is None or self._used >= self._uses or container.expires - time.monotonic() < LAST_SECONDS:
                self._retire()
                container = self._container = self._started()
            return container

    def _started(self) -> Container:
        container = self._starting = self._start()
        try:
            if self._closed:
                container.connection.call_off()
            await_ready(container, seconds=self._ready)
        except BaseException:
            container.close()
            raise
        finally:
            self._starting = None
        return container

    def _retire(self) -> None:
        container, self._container, self._used = self._container, None, 0
        if container is not None:
            container.close()
