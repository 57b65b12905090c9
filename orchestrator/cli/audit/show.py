"""`orchestrate audit show`: one candidate, its verdict, its neighbours and its program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.options import data, opened, runs_option
from orchestrator.escape import escaped, escaped_line
from orchestrator.sections import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console
    from rich.table import Table

    from orchestrator.records import Claimed, Verdict
    from orchestrator.run import RunFolder
    from orchestrator.run.history import History

DIFF_LINES = 120
SHOWN = 12  # characters of a fingerprint: as many as tell those of a run apart
HIGHLIGHTED = 1 << 16  # characters of a program that is shown in colour; a longer one is shown plain
KILLED = 137  # the exit code of a container that got SIGKILL, as the host sends it to every one in the end
BY_OTHERS = frozenset({"killed", "out_of_memory"})  # states of which the kill is the cause
SIZES = frozenset({"memory", "memory_swap", "kernel_memory", "kernel_memory_swap", "shm_size"})


@click.command("show", short_help="Show one candidate.")
@click.argument("run")
@click.argument("candidate_id")
@click.option("--as-run", is_flag=True, help="The program as it ran, with the contract completed.")
@click.option("--completion", is_flag=True, help="All that the model wrote, not only the program.")
@click.option(
    "--diff/--no-diff", default=True, show_default=True, help="With what differs from each nearest neighbour."
)
@runs_option
def audit_show(*, run: str, candidate_id: str, runs: Path, as_run: bool, completion: bool, diff: bool) -> None:
    """Show one candidate of RUN: verdict, claims beside measurements, times, neighbours, program and limits.

    CANDIDATE_ID may be short: c1-27 is c001-0027, and so is 27 if no other cycle has as many candidates.
    """
    from orchestrator.run.history import bracketed, guessing, history

    folder = opened(run, runs)
    found = history(folder, candidate_id)
    console = data()
    console.print(_summary(found, guessing=bracketed(guessing(folder))))
    if found.verdict is not None and found.verdict.measured.container_id is not None:
        console.print(_claims(found.verdict, twin=_twin(folder, found.verdict)))
        console.print(_stages(found.verdict))
    _neighbours(console, folder, found, diff=diff)
    _text_of(console, folder, found, as_run=as_run, completion=completion)
    console.print(_surroundings(found))


def _summary(history: History, *, guessing: str) -> Table:
    """Return what became of a candidate, in a few lines."""
    verdict, nearest = history.verdict, history.nearest
    facts = {"candidate": f"{history.candidate_id} of cycle {history.cycle}", "state": history.state}
    if verdict is not None:
        facts |= {
            "stage": verdict.stage,
            "cause": verdict.cause or "-",
            "accuracy": "-" if verdict.accuracy is None else f"{verdict.accuracy:.2%}{guessing}",
        }
    if nearest is not None:
        facts["nearest"] = f"{nearest.entry_id}, {nearest.estimate:.2f} alike"
    if verdict is not None:
        facts["flags"] = "; ".join(verdict.measured.flags) or "none"
        facts["evaluated"] = "no time on record" if history.at is None else f"{history.at:%Y-%m-%d %H:%M:%S} UTC"
    return _grid(facts)


def _surroundings(history: History) -> Table:
    """Return how a candidate came about, and under which conditions it ran."""
    verdict, completion = history.verdict, history.completion
    facts = {
        "generated": f"{completion.tokens} tokens, ended by {completion.finish}, chunk {completion.chunk},"
        f" seed {completion.seed}"
    }
    if history.candidate is not None and history.candidate.program is not None:
        facts["completed"] = ", ".join(history.candidate.program.completed) or "nothing"
    if history.novelty is not None and history.novelty.rejection_count is not None:
        facts["near-duplicates before it"] = str(history.novelty.rejection_count)
    if verdict is not None:
        facts |= {
            "protocol": verdict.protocol,
            "environment": verdict.environment,
            "container": verdict.measured.container_id or "none: nothing was executed",
            "limits": ", ".join(f"{name} {_limit(name, one)}" for name, one in verdict.measured.limits.items()) or "-",
        }
    return _grid(facts)


def _text_of(console: Console, folder: RunFolder, history: History, *, as_run: bool, completion: bool) -> None:
    """Show the program of a candidate, or all that the model wrote."""
    if completion:
        _program(console, "completion", history.completion.text, lexer="markdown")
        return
    candidate = history.candidate
    source = None if candidate is None else candidate.source
    if as_run and candidate is not None and candidate.program is not None:
        source = candidate.program.runs
    if source is None:
        console.print("the completion holds no program; --completion shows what the model wrote")
        return
    _program(console, "program as it ran" if as_run else "program", folder.store.get(source), lexer="python")
    console.print()


def _twin(folder: RunFolder, verdict: Verdict) -> str:
    """Return which earlier program is functionally equal, as far as fingerprints are known."""
    from orchestrator.run.functional_duplicates import twins

    found = twins(folder)
    if verdict.candidate_id in found.earlier:
        return found.earlier[verdict.candidate_id]
    if verdict.candidate_id in found.known:
        return "no earlier program whose fingerprint is known"
    return "-" if verdict.claimed.fingerprint is None else "not compared: only valid programs are"


def _claims(verdict: Verdict, *, twin: str) -> Table:
    """Return what the container claimed beside what the host measured; a claim never earns anything."""
    from orchestrator.records import NOT_READ

    claimed, measured = verdict.claimed, verdict.measured
    failure = claimed.failure
    cost, unread = measured.training_cost, measured.limits.get(NOT_READ)
    rows = {
        "end": (
            "-" if failure is None else f"{failure.kind} in {failure.stage}: {failure.text}",
            f"{verdict.state} in {verdict.stage}{_ended(verdict)}",
        ),
        "raised at": ("-" if failure is None else " < ".join(failure.where) or "-", "-"),
        "parameters": (_text(claimed.parameters), "-"),
        "network": (_network(claimed), "-"),
        "functionally equal to": (twin, "-"),
        "training": (_trained(claimed), "-" if cost is None else f"{cost:g} times the CPU time of one honest epoch"),
        "accuracy": ("-", "-" if verdict.accuracy is None else f"{verdict.accuracy:.4%}"),
        "peak memory": ("-", "-" if measured.peak_memory is None else f"{measured.peak_memory / MIB:,.0f} MiB"),
        "CPU": ("-", "-" if measured.cpu_seconds is None else f"{measured.cpu_seconds:.1f} s"),
        **({} if unread is None else {"kernel's figures": ("-", f"not read: {unread}")}),
        "output": ("-", f"{measured.log_bytes:,} bytes stored" + (", cut" if measured.truncated else "")),
    }
    return _table("claimed beside measured", ("", "claimed", "measured"), [(name, *row) for name, row in rows.items()])


def _ended(verdict: Verdict) -> str:
    """Return how the container ended, behind what was decided about it."""
    code = verdict.measured.exit_code
    if verdict.measured.oom_killed:
        return ", killed by the kernel: out of memory"
    if code is None:
        return ""
    if code == KILLED and verdict.state not in BY_OTHERS:
        return "; then the host ended the container"
    return f", exit code {code}"


def _network(claimed: Claimed) -> str:
    if claimed.fingerprint is None:
        return "no fingerprint"
    size = f"{_text(claimed.layers)} layers, {_text(claimed.operations)} operations"
    return f"{size}, fingerprint {claimed.fingerprint[:SHOWN]}"


def _trained(claimed: Claimed) -> str:
    parts = (("batches", claimed.batches), ("images", claimed.samples), ("passes", claimed.passes))
    return ", ".join(f"{count:,} {name}" for name, count in parts if count is not None) or "-"


def _stages(verdict: Verdict) -> Table:
    from orchestrator.records import STAGES

    measured = verdict.measured
    # before all stages stands the wait for the container
    order: dict[str, int] = {stage: place for place, stage in enumerate(STAGES, start=1)}
    stages = sorted(measured.seconds.keys() | measured.stage_cpu_seconds.keys(), key=lambda one: order.get(one, 0))
    rows = [
        (stage, *(f"{of[stage]:.2f}" if stage in of else "-" for of in (measured.seconds, measured.stage_cpu_seconds)))
        for stage in stages
    ]
    return _table("stages", ("stage", "seconds", "CPU seconds"), rows)


def _neighbours(console: Console, folder: RunFolder, history: History, *, diff: bool) -> None:
    from orchestrator.run.history import difference

    if not history.neighbours:
        return
    rows = [
        (where, near.entry_id, f"{near.estimate:.4f}", f"{near.exact:.4f}")
        for where, near in history.neighbours.items()
    ]
    console.print(_table("nearest neighbours", ("in", "name", "Jaccard, estimate", "exact"), rows))
    for near in history.neighbours.values() if diff else ():
        lines = difference(folder, history, near.entry_id)
        _program(console, f"from {near.entry_id} to {history.candidate_id}", "\n".join(_bounded(lines)), lexer="diff")


def _bounded(lines: list[str]) -> Iterator[str]:
    yield from lines[:DIFF_LINES]
    if len(lines) > DIFF_LINES:
        yield f"[{len(lines) - DIFF_LINES} more lines differ]"


def _program(console: Console, title: str, text: str | bytes, *, lexer: str) -> None:
    """Show a text that others wrote, in colour on a terminal."""
    from rich.rule import Rule
    from rich.syntax import Syntax
    from rich.text import Text

    shown = escaped(text).expandtabs(4)
    console.print(Rule(Text(escaped_line(title)), align="left"))
    if console.is_terminal and len(shown) <= HIGHLIGHTED:
        numbers = lexer == "python"
        console.print(Syntax(shown, lexer, line_numbers=numbers, word_wrap=True, background_color="default"))
    else:
        click.echo(shown)


def _grid(facts: dict[str, str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name, text in facts.items():
        table.add_row(Text(name, style="dim"), Text(escaped_line(text)))
    return table


def _table(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for name in head:
        table.add_column(name, justify="right" if "seconds" in name or name == "exact" else "left")
    for row in rows:
        table.add_row(*(Text(escaped_line(value)) for value in row))
    return table


def _limit(name: str, value: float | str) -> str:
    return f"{value / MIB:,.0f} MiB" if name in SIZES and not isinstance(value, str) else str(value)


def _text(value: Any) -> str:
    return "-" if value is None else f"{value:,}"
