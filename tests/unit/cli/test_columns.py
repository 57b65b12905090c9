"""A long table keeps to the width of the screen, and what does not fit side by side comes one line a value."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from orchestrator.cli.audit.columns import columns

CELLS = st.text(max_size=60)
TABLES = st.integers(1, 6).flatmap(
    lambda count: st.lists(st.lists(CELLS, min_size=count, max_size=count), min_size=1, max_size=5)
)


@given(TABLES, st.integers(20, 120))
def test_no_line_passes_the_width_and_every_one_is_printable(table: list[list[str]], width: int) -> None:
    head, *rows = table
    for line in columns(head, rows, width=width):
        assert line.isprintable()
        assert cell_len(line) <= width


def test_columns_are_aligned_and_numbers_stand_to_the_right() -> None:
    lines = list(columns(("name", "n"), [("a", "10"), ("漢字", "9")], width=None, right=frozenset({"n"})))
    assert lines == ["name   n", "----  --", "a     10", "漢字   9"]


def test_the_widest_column_is_cut_first() -> None:
    lines = list(columns(("id", "text"), [("c001-0000", "x" * 50)], width=30))
    assert lines[2] == "c001-0000  " + "x" * 18 + "…"


def test_nothing_is_cut_where_there_is_no_width() -> None:
    assert list(columns(("a",), [("x" * 5000,)], width=None))[2] == "x" * 5000


def test_more_columns_than_fit_become_one_line_a_value() -> None:
    head = [f"c{index}" for index in range(20)]
    lines = list(columns(head, [["value that is long"] * 20] * 2, width=40))
    assert lines[0] == "--- 1"
    assert lines[1] == "c0   value that is long"
    assert len(lines) == 42


def test_no_columns_are_no_lines() -> None:
    assert list(columns((), [], width=80)) == []
