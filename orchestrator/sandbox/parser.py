"""The host's side of the parser container, so that hostile text is never parsed in the host process."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from types import TracebackType
from typing import Literal, Self

from pydantic import ValidationError

from orchestrator.errors import InfrastructureError
from orchestrator.records import Count, Record
from orchestrator.sandbox.connection import ARRIVALS
from orchestrator.sandbox.container import Container, await_ready
from sandbox_image import wire

LAST_SECONDS = 60.0  # of a parser container's life, in which it takes no new program
SHORTEST = 0.01  # seconds that a container has at the least to take a program
AHEAD = ARRIVALS // 4  # programs sent ahead: all that is said of them waits on our side, so neither side waits for both
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
        self._changing = threading.Lock()  # held while a container is started, which closing must not overtake

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

        Raises:
            InfrastructureError: no parser container could be started.
        """
        switches = {"complete": complete, "strip": strip, "compact": compact}
        container = self._fresh()
        deadline = time.monotonic() + self._deadline
        self._send(container, source, switches, until=deadline)
        return self._answer(container, source, deadline)

    def parse_all(
        self, sources: Iterable[bytes], *, complete: bool, strip: bool = False, compact: bool = False
    ) -> Iterator[Parsed]:
        """Inspect many programs, in order; some are sent ahead, so that the container never waits for the next.

        Where anything odd happens, the program is inspected once more, alone in a fresh container, and what happens
        there stands: so the answers are those of `parse`, which must not be called before the last of them.

        Raises:
            InfrastructureError: no parser container could be started.
        """
        switches = {"complete": complete, "strip": strip, "compact": compact}
        coming, ahead = iter(sources), deque[bytes]()
        container: Container | None = None
        due, listens = 0.0, True
        try:
            while True:
                while listens and self._takes_another(len(ahead)) and (source := next(coming, None)) is not None:
                    if not ahead or container is None:
                        container, due = self._fresh(), time.monotonic() + self._deadline
                    taken = self._send(container, source, switches, until=due)
                    if taken or not ahead:
                        ahead.append(source)
                    else:  # it may have taken a part: what comes next would be read as the rest of it
                        coming, listens = chain((source,), coming), False
                if not ahead or container is None:
                    return
                parsed = self._answer(container, ahead[0], due)
                source, due = ahead.popleft(), time.monotonic() + self._deadline
                if parsed.state in ODD:
                    coming, listens = chain(tuple(ahead), coming), True
                    ahead.clear()
                    parsed = self.parse(source, **switches)
                elif not listens and not ahead:
                    self._retire()
                    listens = True
                yield parsed
        finally:
            if ahead:
                self._retire()

    def _takes_another(self, ahead: int) -> bool:
        return ahead == 0 or (ahead < AHEAD and not self._spent())

    def _send(self, container: Container, source: bytes, switches: dict[str, bool], *, until: float) -> bool:
        """Send one program; False where the container has not taken all of it by then."""
        self._used += 1
        job = wire.encode_json(wire.JOB, {**switches, "shingle": self._shingle})
        timeout = max(SHORTEST, until - time.monotonic())
        return container.connection.send(job + wire.encode(wire.SOURCE, source), timeout=timeout)

    def _answer(self, container: Container, source: bytes, deadline: float) -> Parsed:
        """Take down what is said of `source`, the first of the programs that were sent and not answered."""
        try:
            parsed = self._hear(container, source, deadline)
        except (wire.WireError, ValidationError) as error:
            parsed = Parsed(state="killed", stage="parse", cause=f"broken wire from the parser: {error}"[:200])
        if parsed.state in ODD:
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
                program=blobs.get(wire.PROGRAM, source),  # it is left out where it is the source
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
            if self._container is None or self._spent():
                self._retire()
                self._container = self._started()
            return self._container

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

    def _spent(self) -> bool:
        """Say whether the container is to be replaced before another program."""
        container = self._container
        return container is None or self._used >= self._uses or container.expires - time.monotonic() < LAST_SECONDS

    def _retire(self) -> None:
        container, self._container, self._used = self._container, None, 0
        if container is not None:
            container.close()


class Parsers:
    """Up to `lanes` parsers at once, each made for one batch of programs and ended after it.

    With one lane more than there are cores, a container starts while the others keep the cores busy.
    """

    def __init__(self, make: Callable[[], Parser], *, lanes: int, batch: int) -> None:
        self._make = make
        self._lanes = lanes
        self._batch = batch

    def parse_all(
        self, sources: Iterable[bytes], *, complete: bool, strip: bool = False, compact: bool = False
    ) -> Iterator[Parsed]:
        """Inspect many programs and yield what was found, in their order.

        Raises:
            InfrastructureError: no parser container could be started.
        """
        stopped = threading.Event()

        def inspect(batch: list[bytes]) -> list[Parsed]:
            found = []
            with self._make() as parser:
                for parsed in parser.parse_all(batch, complete=complete, strip=strip, compact=compact):
                    if stopped.is_set():
                        break
                    found.append(parsed)
            return found

        coming, running = iter(sources), deque[Future[list[Parsed]]]()
        with ThreadPoolExecutor(max_workers=self._lanes, thread_name_prefix="parser") as pool:
            try:
                while True:
                    while len(running) <= self._lanes and (batch := list(islice(coming, self._batch))):
                        running.append(pool.submit(inspect, batch))
                    if not running:
                        return
                    yield from running.popleft().result()
            finally:
                stopped.set()
                pool.shutdown(wait=True, cancel_futures=True)
