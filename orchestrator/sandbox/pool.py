"""Slots that each keep one container started ahead of time, and use every container once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

from orchestrator.errors import InfrastructureError
from orchestrator.machine import LOOK, Headroom
from orchestrator.sandbox.container import Container, await_ready
from orchestrator.sandbox.engine import elsewhere
from orchestrator.sandbox.readback import check_data, check_inside
from orchestrator.sandbox.slots import Slot
from sandbox_image import wire

SPARE = 0.9  # idle cores, of which a container that warms up further takes one
TOLD = 1.0  # seconds in which a waiting container takes five bytes
CLAIMS = 3  # containers that a claim looks at: each slot may hold one that died with an engine


@dataclass(frozen=True)
class Starting:
    """A container that was started and is not ready yet: it imports torch."""

    container: Container
    seconds: float

    def ready(self) -> Container:
        """Wait until the container is ready, for up to `seconds`, and return it; it is closed where it fails.

        Raises:
            InfrastructureError: it ended, took too long or was called off, another limit on files holds inside,
                or other data is there than on this machine.
        """
        try:
            said = await_ready(self.container, seconds=self.seconds)
            check_inside(said, self.container.spec.limits)
            engine = self.container.engine
            check_data(said, self.container.spec.train, missing=elsewhere(engine.endpoint))
        except BaseException:
            self.container.close()
            raise
        return self.container


class Pool:
    """Hands out started containers; behind each claim the slot's next container is already on its way.

    At most as many start at once as there are cores, each as soon as there is memory for it; how far they warm up
    while they wait is `ahead` of `SandboxConfig`. One that has too little life left for a candidate is replaced while
    it waits, so that a claim after a long pause finds a container that is ready.
    """

    def __init__(
        self,
        start: Callable[[Slot], Starting],
        *,
        slots: list[Slot],
        needed: float,
        ahead: str,
        headroom: Headroom,
    ) -> None:
        """`start` returns a container that was started; `needed` is the life in seconds that a claim must find."""
        self._start = start
        self._starting: dict[Slot, Container] = {}
        self._closing = threading.Event()
        self._needed = needed
        self._ahead = ahead
        at_once = min(len(slots), psutil.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="pool")
        self._waiting: dict[Slot, Future[Container]] = {}
        self._told: set[Slot] = set()  # whose waiting container was told to warm up further
        self._claims = threading.Lock()  # nothing but its program is sent to a container that was claimed
        self._slots = slots
        self._headroom = headroom
        self._keeper = threading.Thread(target=self._keep, name="pool-keeper", daemon=True)

    def __enter__(self) -> Self:
        if self._ahead != "nothing":
            for slot in self._slots:
                self._prepare(slot)
            self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.call_off()
        if self._keeper.is_alive():
            self._keeper.join()
        for waiting in self._waiting.values():
            waiting.cancel()
        self._threads.shutdown(wait=True)
        for waiting in self._waiting.values():
            if (unused := _there(waiting)) is not None:
                _discard(unused)

    def call_off(self) -> None:
        """Start no more containers and end those that are not ready: who waits for one gets InfrastructureError."""
        self._closing.set()
        for container in list(self._starting.values()):
            container.connection.call_off()

    def claim(self, slot: Slot) -> Container:
        """Return a ready container for `slot`, for one use, and start the next one.

        One that ended while it waited, or will end too soon, is replaced.

        Raises:
            InfrastructureError: it could not be started.
        """
        for _ in range(CLAIMS):
            if slot not in self._waiting:
                self._prepare(slot)
            with self._claims:
                waiting = self._waiting.pop(slot)
                self._told.discard(slot)
            try:
                container = waiting.result()
            finally:
                if self._ahead != "nothing" and not self._closing.is_set():
                    self._prepare(slot)
            if container.connection.quiet and self._lasts(container):
                return container
            _discard(container)
        raise InfrastructureError("containers that were ready end before a candidate can claim them")

    def forget(self, slot: Slot) -> None:
        """Keep no container ready for `slot` any more, which nobody claims again."""
        with self._claims:
            waiting = self._waiting.pop(slot, None)
            self._told.discard(slot)
        if waiting is not None and not waiting.cancel():
            waiting.add_done_callback(_discard_result)

    def _prepare(self, slot: Slot) -> None:
        with self._claims:
            self._waiting[slot] = self._threads.submit(self._warm, slot)

    def _lasts(self, container: Container) -> bool:
        return container.expires - time.monotonic() > self._needed

    def _warm(self, slot: Slot) -> Container:
        self._headroom.await_memory(self._closing)
        starting = self._start(slot)
        self._starting[slot] = starting.container
        if self._closing.is_set():
            starting.container.connection.call_off()
        container = starting.ready()
        if self._ahead == "optimizers":
            container.connection.send(wire.encode(wire.WARM, b""), timeout=TOLD)
        return container

    def _keep(self) -> None:
        """Look after what waits until the pool closes; runs in a thread of its own."""
        while not self._closing.wait(LOOK):
            self._recycle()
            if self._ahead == "idle" and self._headroom.cores() >= SPARE:
                self._warm_one_further()

    def _recycle(self) -> None:
        """Replace the containers that have grown too old while they waited."""
        old: list[Container] = []
        with self._claims:
            for slot, waiting in self._waiting.items():
                container = _there(waiting)
                if container is not None and not self._lasts(container):
                    self._waiting[slot] = self._threads.submit(self._warm, slot)
                    self._told.discard(slot)
                    old.append(container)
        for container in old:
            _discard(container)

    def _warm_one_further(self) -> None:
        """Tell one waiting container that was not told yet to import what optimizers need."""
        with self._claims:
            for slot, waiting in self._waiting.items():
                container = _there(waiting)
                if container is not None and slot not in self._told:
                    self._told.add(slot)
                    container.connection.send(wire.encode(wire.WARM, b""), timeout=TOLD)
                    break


def _discard(container: Container) -> None:
    """Close a container that nobody has used; its end is no reason to fail, as `Sandbox` looks for what is left."""
    with contextlib.suppress(InfrastructureError):
        container.close()


def _discard_result(waiting: Future[Container]) -> None:
    if (container := _there(waiting)) is not None:
        _discard(container)


def _there(waiting: Future[Container]) -> Container | None:
    """Return a container that is ready; None while it starts, and where it failed."""
    if not waiting.done() or waiting.cancelled() or waiting.exception() is not None:
        return None
    return waiting.result()
