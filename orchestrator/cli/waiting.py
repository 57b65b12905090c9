"""What a person sees of a long command: a line that changes on a terminal, and elsewhere a plain one every so often."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from orchestrator.escape import escaped_line
from orchestrator.progress import Pace, left_after
from orchestrator.report.console import PLAIN_SECONDS

LIVE_SECONDS = 0.5


class Waiting:
    """Says what is under way, how much of it is done, and about how long the rest takes; a context manager.

    `total` is how many steps there are, where that is known; `advance` is called after each, from any thread.
    """

    def __init__(self, console: Console, what: str, *, total: int | None = None, every: float = PLAIN_SECONDS) -> None:
        self._console = console
        self._what = what
        self._total = total
        self._every = LIVE_SECONDS if console.is_terminal else every
        self._done = 0
        self._last = ""
        self._pace = Pace(began=time.monotonic())
        self._over = threading.Event()
        self._status = console.status(Text(what)) if console.is_terminal else None
        self._ticker = threading.Thread(target=self._tick, name="waiting", daemon=True)

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._status is not None:
            self._status.start()
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the terminal."""
        self._over.set()
        self._ticker.join()
        if self._status is not None:
            self._status.stop()

    def advance(self, last: str = "") -> None:
        """Count one step as done; `last` says what it was."""
        self._done += 1
        self._last = last
        self._pace.advance(now=time.monotonic(), done=self._done)

    def say(self, text: str) -> None:
        """Print one line that stays, above the one that changes."""
        self._console.print(Text(escaped_line(text)), soft_wrap=True)

    @property
    def line(self) -> str:
        """What is under way, in words."""
        now = time.monotonic()
        parts = [self._what]
        if self._total is not None:
            parts = [f"{self._what}: {self._done} of {self._total}"]
        if self._last:
            parts.append(self._last)
        left = None if self._total is None else self._pace.left(now=now, missing=self._total - self._done)
        parts.append(left_after(now - self._pace.began, left))
        return ", ".join(parts)

    def _tick(self) -> None:
        while not self._over.wait(self._every):
            if self._status is not None:
                self._status.update(Text(escaped_line(self.line)))
            else:
                self.say(self.line)
