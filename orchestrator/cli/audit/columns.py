"""Tables of thousands of rows as plain text: one line a row, cut to the width of the screen, or one line a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orchestrator.escape import escaped_line

if TYPE_CHECKING:
    from rich.console import Console

GAP = "  "
LEAST = 8  # characters below which a column is not cut


def columns(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None,
    most: int | None = None,
    right: frozenset[str] = frozenset(),
) -> Iterator[str]:
    """Yield the lines of a table with `head`: escaped, cut with an ellipsis where a line would pass `width`.

    The columns in `right` are aligned to the right; `width` is in terminal cells, None cuts nothing. No column
    is wider than `most`. If even cut columns do not fit, every row becomes a block of lines, one a value.
    """
    from rich.cells import cell_len

    shown = [[escaped_line(value) for value in row] for row in (head, *rows)]
    if not shown[0]:
        return
    widths = [max(cell_len(row[position]) for row in shown) for position in range(len(head))]
    if most is not None:
        widths = [min(one, most) for one in widths]
    room = None if width is None else width - len(GAP) * (len(head) - 1)
    if width is not None and room is not None and sum(min(one, LEAST) for one in widths) > room:
        yield from _blocks(shown, width)
        return
    while room is not None and sum(widths) > room:
        widest = widths.index(max(widths))
        others = max((one for position, one in enumerate(widths) if position != widest), default=0)
        widths[widest] = max(LEAST, min(widths[widest] - 1, max(others, widths[widest] - (sum(widths) - room))))
    for row in (shown[0], ["-" * one for one in widths], *shown[1:]):
        cells = (_cell(value, one, right=name in right) for value, one, name in zip(row, widths, head, strict=True))
        yield GAP.join(cells).rstrip()


def screen(console: Console) -> int | None:
    """Return how wide lines may be: the terminal's width, or None where standard output is a file or a pipe."""
    return console.width if console.is_terminal else None


def _cell(value: str, width: int, *, right: bool) -> str:
    from rich.cells import cell_len, set_cell_size

    missing = width - cell_len(value)
    if missing < 0:
        return set_cell_size(value, width - 1) + "…"
    return " " * missing + value if right else value + " " * missing


def _blocks(shown: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    from rich.cells import cell_len

    label = min(width // 2, max(cell_len(name) for name in shown[0]))
    room = max(LEAST, width - label - len(GAP))
    for number, row in enumerate(shown[1:], start=1):
        yield f"--- {number}"
        for name, value in zip(shown[0], row, strict=True):
            yield (_cell(name, label, right=False) + GAP + _cell(value, room, right=False)).rstrip()
