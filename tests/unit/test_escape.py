"""Untrusted text reaches no terminal as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.escape import escaped, escaped_line


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("over\rwrite\b", r"over\rwrite\x08"),
        ("\u202eevil", r"\u202eevil"),
        ("a\u2028b\u200bc", r"a\u2028b\u200bc"),
        ("\x9b31m", r"\x9b31m"),
        ("\ud800", r"\ud800"),
        ("é 漢 ok\n\tnext", "é 漢 ok\n\tnext"),
        (b"\xff\x1b", r"\xff\x1b"),
        ("\u3164\u034f\ufe0f\U000e0100", r"\u3164\u034f\ufe0f\U000e0100"),
    ],
)
def test_what_could_act_on_a_terminal_is_written_out(raw: str | bytes, shown: str) -> None:
    assert escaped(raw) == shown


@given(st.one_of(st.text(), st.binary()))
def test_everything_shown_is_printable(raw: str | bytes) -> None:
    assert all(char.isprintable() or char in "\n\t" for char in escaped(raw))


@given(st.one_of(st.text(), st.binary()))
def test_a_line_is_one_line_of_printable_characters(raw: str | bytes) -> None:
    assert escaped_line(raw).isprintable()
