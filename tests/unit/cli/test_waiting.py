"""A long command says what is done and about how long the rest takes, on a terminal and in a log."""

from __future__ import annotations

import io
import re
import threading

from rich.console import Console

from orchestrator.cli.waiting import Waiting

SECONDS = 60.0


class Heard(io.StringIO):
    """A log that tells when a line has come that holds `awaited`."""

    def __init__(self, awaited: str) -> None:
        super().__init__()
        self.awaited, self.came = awaited, threading.Event()

    def write(self, text: str) -> int:
        count = super().write(text)
        if self.awaited in self.getvalue():
            self.came.set()
        return count


def test_a_log_has_a_plain_line_every_so_often_with_what_is_left() -> None:
    log = Heard("2 of 4")
    with Waiting(Console(file=log), "programs", total=4, every=0.01) as waiting:
        waiting.advance("one.py")
        waiting.advance("two\x1b[31m.py")
        assert log.came.wait(SECONDS)
        waiting.say("a line that stays")
    text = log.getvalue()
    assert re.search(r"programs: 2 of 4, two\\x1b\[31m\.py, elapsed \d+ s, about \d+ s left", text)
    assert "a line that stays" in text
    assert "\x1b" not in text


def test_before_the_first_step_nothing_is_known_of_the_rest_and_without_a_total_nothing_is_said() -> None:
    console = Console(file=io.StringIO())
    assert Waiting(console, "programs", total=4).line.endswith("0 of 4, elapsed 0 s")
    assert Waiting(console, "curating").line == "curating, elapsed 0 s"


def test_a_terminal_has_one_line_that_changes() -> None:
    screen = Heard("1 of 2")
    console = Console(file=screen, force_terminal=True, width=80)
    with Waiting(console, "programs", total=2) as waiting:
        waiting.advance("one.py")
        assert screen.came.wait(SECONDS)
