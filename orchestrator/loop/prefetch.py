"""An iterator that is run ahead of its reader, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
GRACE = 2.0  # seconds; a producer that waits longer for its next item ends with the process


class Ahead(Generic[T]):
    """Runs `produce` in a thread; iterating yields its items as they come.

    `produce` is given an event that is set when nobody wants more: it writes nothing after that.

    A failure of `produce` ends the iteration early and is raised by `finish`, in the thread that owns the work: so
    whoever reads the items (an evaluator, perhaps in a thread of its own) never has to tell a producer's failure
    from one of its own, and what was under way is completed first.
    """

    def __init__(self, produce: Callable[[threading.Event], Iterator[T]]) -> None:
        self._produce = produce
        self._items: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        """Yield items until the producer ends, fails or is stopped."""
        while not isinstance(item := self._items.get(), _End):
            yield item

    def stop(self) -> None:
        """Let no further item through, and give the producer a moment to notice; it ends at its next item."""
        self._stopped.set()
        self._items.put(_End())
        self._thread.join(GRACE)

    def finish(self) -> None:
        """Wait for the producer, and raise what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            for item in self._produce(self._stopped):
                if self._stopped.is_set():
                    return
                self._items.put(item)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that owns the work, which raises it
            self._error = error
        finally:
            self._items.put(_End())


class _End:
    """Stands in the queue where the items end."""
