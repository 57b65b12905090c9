"""Makes untrusted text safe to show: nothing in it can move the cursor, colour the screen or hide.

Letters of scripts that run from right to left stay letters: a terminal that knows them shows them in their own order.
"""

from __future__ import annotations

LAYOUT = frozenset("\n\t")
# What Unicode asks to show as nothing although it counts as a letter or a mark (Default_Ignorable_Code_Point).
INVISIBLE = frozenset(
    [
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0),
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    ]
)


def escaped(text: str | bytes) -> str:
    r"""Return `text` with every unprintable character but newline and tab written as its escape, as in ``\x1b``.

    That covers ANSI and OSC sequences, other control characters, bidirectional overrides, zero-width and other
    invisible characters, line separators and lone surrogates; bytes that are not UTF-8 are shown as ``\xNN``.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="backslashreplace")
    return text.translate(_Escapes())


def escaped_line(text: str | bytes) -> str:
    r"""Return `text` as `escaped` does, on one line: newline and tab are written as ``\n`` and ``\t``."""
    return escaped(text).replace("\n", "\\n").replace("\t", "\\t")


class _Escapes(dict[int, str]):
    """What each character is shown as, worked out once for each that occurs: a megabyte takes a tenth of a second."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        plain = char in LAYOUT or (char.isprintable() and code not in INVISIBLE)
        self[code] = shown = char if plain else char.encode("unicode_escape").decode("ascii")
        return shown


CAUSE_LIMIT = 300


def plain(text: str) -> str:
    """Return `text` on one line of printable characters, at most 300: safe to show, and to put into a ledger."""
    line = " ".join(text.split())
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in line)
    return shown if len(shown) <= CAUSE_LIMIT else shown[: CAUSE_LIMIT - 1] + "…"
