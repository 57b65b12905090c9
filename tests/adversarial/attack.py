"""Run every case under every runtime, print the table, and write it down: `make attack`."""

from __future__ import annotations

import sys

import click

from tests.adversarial.suite import Result, cases, run
from tests.support.checkout import CHECKOUT

TABLE = CHECKOUT / "docker" / "attacks.md"
HEAD = """\
# Hostile programs and their verdicts

Written by `make attack`: every program under `tests/adversarial/cases/`, run in real containers under each runtime.
The honest ones among them are positive controls. A verdict in bold is not the one that the program must get.

"""


def main(runtimes: list[str]) -> int:
    """Return 0 where every case got its verdict under every runtime."""
    found: dict[str, dict[str, Result]] = {}
    for runtime in runtimes:
        for result in run(cases(), runtime=runtime):
            found.setdefault(result.case.name, {})[runtime] = result
            mark = "ok " if result.as_expected else "BAD"
            cause = (result.verdict.cause or "")[:90]
            click.echo(f"{mark} {runtime:5} {result.case.name:50} {_verdict(result)}  {cause}")
    rows = [
        f"| {name} | " + " | ".join(_cell(row.get(runtime)) for runtime in runtimes) + " |"
        for name, row in found.items()
    ]
    head = f"| program | {' | '.join(runtimes)} |\n|---|{'---|' * len(runtimes)}\n"
    TABLE.write_text(HEAD + head + "\n".join(rows) + "\n", encoding="utf-8")
    results = [result for row in found.values() for result in row.values()]
    right = sum(result.as_expected for result in results)
    click.echo(f"{right} of {len(results)} verdicts as expected: {len(found)} programs under {' and '.join(runtimes)}")
    return 0 if right == len(results) else 1


def _verdict(result: Result) -> str:
    accuracy = result.verdict.accuracy
    return f"{result.verdict.state} ({result.verdict.stage})" + ("" if accuracy is None else f" {accuracy:.1%}")


def _cell(result: Result | None) -> str:
    if result is None:
        return "not run"
    return _verdict(result) if result.as_expected else f"**{_verdict(result)}**"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["runc", "runsc"]))
