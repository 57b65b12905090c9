"""Several parser containers at once, for the thousands of programs of a corpus."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from orchestrator.sandbox.parser import Parsed, Parser


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
                for source in batch:
                    if stopped.is_set():
                        break
                    found.append(parser.parse(source, complete=complete, strip=strip, compact=compact))
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
