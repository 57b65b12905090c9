"""Does every fault to small runs, many times, and prints what each kind came to.

python -m tests.faults [--seed N] [--kills N] [--others N] [--bytes N]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults import faults
from tests.faults.bench import Bench, Result, bench
from tests.faults.damage import Damage, changed_bytes, damaged_ledgers

OTHERS: tuple[Callable[[Bench, random.Random], Result], ...] = (
    faults.kill_generation,
    faults.kill_finetuning,
    faults.kill_every_worker,
    faults.stop_engine,
    faults.kill_engine,
    faults.restart_engine,
    faults.hang_engine,
    faults.remove_container,
    faults.signal_container,
    faults.fill_disk,
    faults.start_two,
)


def main(arguments: Sequence[str]) -> int:
    """Return 0 where every run came through."""
    options = _options(arguments)
    console = Console(stderr=True)
    console.print(f"seed {options.seed}")
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, bench(Path(folder)) as here:
        console.print(f"an undisturbed run has {here.points} points")
        for fault, times in ((faults.kill_orchestrator, options.kills), *((one, options.others) for one in OTHERS)):
            for number in range(times):
                results.append(fault(here, random.Random(f"{options.seed} {fault.__name__} {number}")))  # noqa: S311
                console.print(f"{results[-1].kind}, {number + 1} of {times}: {_said(results[-1])}", soft_wrap=True)
        draw = random.Random(f"{options.seed} damage")  # noqa: S311 - it must repeat
        damages = damaged_ledgers(here, draw) if options.others else []
        damages += changed_bytes(here, draw, count=options.bytes)
    for damage in damages:
        if not damage.met:
            console.print(f"{damage.kind}: {damage.file}: {damage.said}", soft_wrap=True)
    out = Console(width=None if sys.stdout.isatty() else 150)
    out.print(results_table(results))
    out.print(damages_table(damages))
    return 0 if all(one.survived for one in results) and all(one.met for one in damages) else 1


def results_table(results: Iterable[Result]) -> Table:
    """Return one line for each kind of fault."""
    table = Table(title="faults, each followed by resumes until the run is done")
    table.add_column("fault")
    for name in (
        "tries",
        "results lost",
        "repeated",
        "other ledgers",
        "containers left",
        "groups left",
        "strays",
        "resumes",
    ):
        table.add_column(name, justify="right")
    table.add_column("audit verify", justify="right")
    kinds: dict[str, list[Result]] = {}
    for one in results:
        kinds.setdefault(one.kind, []).append(one)
    for kind, those in kinds.items():
        sums = (
            sum(one.difference.lost for one in those),
            sum(one.difference.repeated for one in those),
            sum(bool(one.difference.other or one.note) for one in those),
            sum(one.containers for one in those),
            sum(one.groups for one in those),
            sum(one.strays for one in those),
            sum(one.resumes for one in those),
        )
        passed = sum(not one.difference.verified for one in those)
        table.add_row(kind, str(len(those)), *map(str, sums), f"{passed} of {len(those)} pass")
    return table


def damages_table(damages: Iterable[Damage]) -> Table:
    """Return one line for each kind of damage."""
    table = Table(title="damage to files: ledgers before a resume, single bytes before `audit verify`")
    table.add_column("damage")
    table.add_column("tries", justify="right")
    table.add_column("named, or harmless", justify="right")
    damages = list(damages)
    met = Counter(one.kind for one in damages if one.met)
    for kind, count in Counter(one.kind for one in damages).items():
        table.add_row(kind, str(count), f"{met[kind]} ({met[kind] / count:.0%})")
    return table


def _said(result: Result) -> str:
    return "as undisturbed" if result.survived else str(result)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=40, help="kills of the orchestrator")
    parser.add_argument("--others", type=int, default=3, help="tries of every other fault")
    parser.add_argument("--bytes", type=int, default=200, help="single bytes to change")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
