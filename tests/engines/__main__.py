"""Try every engine that can be had here, print what each does, and write it down: `make engines`.

python -m tests.engines [WORDS OF A ROW'S NAME]
"""

from __future__ import annotations

import sys
from typing import Any

import click

from tests.engines.matrix import ROWS, Row, run_row
from tests.support.checkout import CHECKOUT

TABLE = CHECKOUT / "docker" / "engines.md"
HEAD = """\
# Engines

Written by `make engines`: each engine that could be had on the machine, started beside its own, with programs of
`tests/adversarial/cases`. *Limits* are the rows of `orchestrate doctor` that hold. *Interrupted* is a process that was
killed with a container: what is left of it after the next one came. A dash was not asked in the short form. What could
not be run says why.

| engine | versions | control groups | limits | honest | hostile | interrupted: containers, groups left | notes |
|---|---|---|---|---|---|---|---|
"""


def main(words: list[str]) -> int:
    """Return 0 if every engine that was run did as expected, or was refused with a reason."""
    lines, right = [], True
    for row in (row for row in ROWS if all(word in row.name for word in words)):
        found = {} if row.instead else run_row(row)
        right = right and (bool(row.instead) or "refused" in found or as_expected(found))
        lines.append(line(row, found))
        click.echo(lines[-1])
    if not words:
        TABLE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    return 0 if right else 1


def as_expected(found: dict[str, Any]) -> bool:
    """Whether every program got its verdict, and nothing is left of the interrupted process."""
    if not found.keys() & {"interrupted"}:
        return False
    verdicts = all(found[kind][0] == found[kind][1] for kind in ("honest", "hostile"))
    return verdicts and found["interrupted"] is True and not found["containers left"] and not found["groups left"]


def line(row: Row, found: dict[str, Any]) -> str:
    """Return the row as one line of the table."""
    if "interrupted" not in found:
        why = f"not run here: {row.instead}" if row.instead else found.get("refused") or found.get("failed")
        return f"| {row.name} | - | - | - | - | - | - | {_cell(why)} |"
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    limits, honest, hostile = (_of(found.get(name)) for name in ("limits", "honest", "hostile"))
    left = f"{found['containers left']}, {found['groups left']}"
    notes = [*found.get("other limits", ()), *found["wrong"], *(f"not read: {said}" for said in found["not read"])]
    cells = (row.name, versions, found["cgroups"], limits, honest, hostile, left, _cell("; ".join(notes)))
    return f"| {' | '.join(cells)} |"


def _of(pair: list[int] | None) -> str:
    return "-" if pair is None else f"{pair[0]} of {pair[1]}"


def _cell(text: object) -> str:
    return str(text).replace("|", "/").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
