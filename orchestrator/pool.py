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

from orchestrator.errors import InfrastructureError
from orchestrator.parsing import await_ready
from orchestrator.sandbox import Container

FIRST_UID = 10001
CLAIMS = 3  # containers that a claim looks at: each slot may hold one that died with an engine


@dataclass(frozen=True)
class Slot:
    """A place where one candidate at a time runs, with a uid of its own and, where there is one, a GPU."""

    index: int
    gpu: str | None

    @property
    def uid(self) -> int:
        """The user under which this slot's candidates run; no two slots share one."""
        return FIRST_UID + self.index


@dataclass(frozen=True)
class Starting:
    """A container that was started and is not ready yet: it imports torch."""

    container: Container
    seconds: float

    def ready(self) -> Container:
        """Wait until the container is ready, for up to `seconds`, and return it; it is closed where it fails.

        Raises:
            InfrastructureError: it ended or took too long, or was called off.
        """
        try:
            await_ready(self.container, seconds=self.seconds)
        except BaseException:
            self.container.close()
            raise
        return self.container


class Pool:
    """Hands out started containers; behind each claim the slot's next container is already on its way."""

    def __init__(self, start: Callable[[Slot], Starting], *, slots: list[Slot], needed: float) -> None:
        """`start` returns a container that was started; `needed` is the life in seconds that a claim must find."""
        self._start = start
        self._starting: dict[Slot, Container] = {}
        self._closing = threading.Event()
        self._needed = needed
        self._threads = ThreadPoolExecutor(max_workers=len(slots), thread_name_prefix="pool")
        self._waiting: dict[Slot, Future[Container]] = {}
        self._slots = slots

    def __enter__(self) -> Self:
        for slot in self._slots:
            self._prepare(slot)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        for waiting in self._waiting.values():
            waiting.cancel()
        for container in list(self._starting.values()):
            container.call_off()
        self._threads.shutdown(wait=True)
        for waiting in self._waiting.values():
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                with contextlib.suppress(InfrastructureError):  # the next orchestrator reaps what is left
                    waiting.result().close()

    def claim(self, slot: Slot) -> Container:
        """Return a ready container for `slot`, for one use, and start the next one.

        One that ended while it waited, or will end too soon, is replaced.

        Raises:
            InfrastructureError: it could not be started.
        """
        for _ in range(CLAIMS):
            try:
                container = self._waiting[slot].result()
            except InfrastructureError:
                self._prepare(slot)
                raise
            self._prepare(slot)
            if container.waits and container.expires - time.monotonic() > self._needed:
                return container
            with contextlib.suppress(InfrastructureError):  # it was of no use, and its end is no reason to fail
                container.close()
        raise InfrastructureError("containers that were ready end before a candidate can claim them")

    def _prepare(self, slot: Slot) -> None:
        self._waiting[slot] = self._threads.submit(self._warm, slot)

    def _warm(self, slot: Slot) -> Container:
        starting = self._start(slot)
        self._starting[slot] = starting.container
        if self._closing.is_set():
            starting.container.call_off()
        return starting.ready()
