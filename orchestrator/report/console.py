"""What a person sees of a run: a live funnel on a terminal, plain lines elsewhere, and the table of its cycles."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from orchestrator.config import Config
from orchestrator.progress import Event, Guessing, Note, StageBegins, duration, left_after
from orchestrator.records import CycleSummary
from orchestrator.report.estimate import Estimate, bound, percent
from orchestrator.report.funnel import Funnel

FUNCTIONAL = "functional duplicates: admitted as textually novel, but with the fingerprint that an earlier one claims"
PLAIN_SECONDS = 15.0
TITLE = "cycles (95 % intervals)"
UNBOUNDED = 10_000  # cells: wider than any table here


class View:
    """Shows events as they come; a context manager whose `observe` is the loop's observer, from any thread."""

    def __init__(self, console: Console, config: Config) -> None:
        self._console = console
        self._funnel = Funnel(threshold=config.admission.reported, tau=config.novelty.tau, cycles=config.cycles)
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._live = (
            Live(console=console, get_renderable=self._panel, refresh_per_second=2) if console.is_terminal else None
        )
        self._ticker = threading.Thread(target=self._tick, name="view", daemon=True)

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._live is not None:
            self._live.start()
        else:
            self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Show the last state and let go of the terminal."""
        self._done.set()
        if self._live is not None:
            self._live.stop()
        else:
            self._ticker.join()

    def observe(self, event: Event) -> None:
        """Take one event."""
        with self._lock:
            self._funnel.take(event, now=time.monotonic())
        if isinstance(event, Note):
            self.say(event.text)
        elif isinstance(event, StageBegins) and self._live is None:
            self.say(self._line())

    def say(self, text: str) -> None:
        """Print one line of prose, above the live view if there is one."""
        self._console.print(Text(text), soft_wrap=True)

    def _tick(self) -> None:
        while not self._done.wait(PLAIN_SECONDS):
            self.say(self._line())

    def _line(self) -> str:
        with self._lock:
            funnel = self._funnel
            now = time.monotonic()
            parts = [f"{name} {text}" for name, text in funnel.pairs()]
            if funnel.since:
                parts.append(left_after(now - funnel.since, funnel.left(now=now)))
            return f"{funnel.title}: {', '.join(parts)}"

    def _panel(self) -> Panel:
        with self._lock:
            funnel, now = self._funnel, time.monotonic()
            table = Table.grid(padding=(0, 2))
            for name, text in funnel.pairs():
                table.add_row(Text(name, style="dim"), Text(text, style="bold"))
            table.add_row(Text("this stage", style="dim"), Text(duration(now - funnel.since) if funnel.since else "-"))
            table.add_row(Text("about left", style="dim"), Text(duration(funnel.left(now=now))))
            return Panel(table, title=funnel.title, expand=False)


class Cycles:
    """The cycles of a run, for a console: rates and means with their 95 % intervals and n, beside chance.

    They stand side by side in one table if that fits the console uncut, else each in lines of its own.
    """

    def __init__(self, summaries: Sequence[CycleSummary]) -> None:
        self._summaries = summaries

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what fits."""
        if not self._summaries:
            yield Text("no cycle is complete yet")
            return
        caption = _caption(self._summaries[-1])
        table = Table(title=TITLE, caption=caption)
        rows = [_facts(summary) for summary in self._summaries]
        for name in rows[0]:
            table.add_column(name, justify="right", no_wrap=True)
        for row in rows:
            table.add_row(*row.values())
        if Measurement.get(console, options.update(max_width=UNBOUNDED), table).maximum <= options.max_width:
            yield table
            return
        yield Text(TITLE)
        for row in rows:
            lines = Table.grid(padding=(0, 2))
            for name, text in row.items():
                lines.add_row(Text(name, style="dim"), text)
            yield lines
            yield Text()
        yield Text(caption, style="dim")


def states_table(summary: CycleSummary) -> Table:
    """Return how every completion of one cycle ended; the counts add up to the number generated."""
    title = f"cycle {summary.cycle}: how {summary.generated} completions ended"
    table = Table(title=title, min_width=len(title))
    table.add_column("terminal state")
    table.add_column("count", justify="right")
    for state, count in sorted(summary.states.items(), key=lambda item: -item[1]):
        table.add_row(state, str(count))
    return table


def _facts(summary: CycleSummary) -> dict[str, str]:
    return {
        "cycle": str(summary.cycle),
        "generated": str(summary.generated),
        "valid": f"{summary.valid}: {Estimate(summary.valid_rate, summary.valid_interval).text}",
        "mean accuracy": Estimate(summary.accuracy_mean, summary.accuracy_interval).text,
        "median": percent(summary.accuracy_median),
        "best": percent(summary.accuracy_best),
        "above threshold": f"{summary.above_threshold}: {Estimate(summary.above_rate, summary.above_interval).text}",
        "admitted": str(summary.admitted),
        "functional duplicates": _functional(summary),
        "duplicates": str(summary.rejected_duplicates),
        "corpus": f"{summary.corpus_before} -> {summary.corpus_after}",
    }


def _caption(summary: CycleSummary) -> str:
    threshold = "none" if summary.threshold is None else bound(summary.threshold)
    shares = f"{Guessing(summary.chance, summary.majority).text}, threshold {threshold}"
    return shares if summary.functional_duplicates is None else f"{shares}; {FUNCTIONAL}"


def _functional(summary: CycleSummary) -> str:
    """Return the functional duplicates among the programs whose fingerprint is known."""
    if summary.functional_duplicates is None:
        return "-"
    return f"{summary.functional_duplicates} of {summary.fingerprinted}"
