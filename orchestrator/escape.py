"""Makes untrusted text safe to show: nothing in it can move the cursor, colour the screen or reorder a line."""

from __future__ import annotations

LAYOUT = frozenset("\n\t")


def escaped(text: str | bytes) -> str:
    r"""Return `text` with every unprintable character but newline and tab written as its escape, as in ``\x1b``.

    That covers ANSI and OSC sequences, other control characters, bidirectional overrides, zero-width characters,
    line separators and lone surrogates; bytes that are not UTF-8 are shown as ``\xNN``.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="backslashreplace")
    return "".join(char if char.isprintable() or char in LAYOUT else _escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
