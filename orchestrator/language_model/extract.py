"""The program in a completion: its first fenced block of Python, or the whole text if that is a module."""

from __future__ import annotations

from collections.abc import Iterator

MARK = "```"
LANGUAGES = frozenset({"", "python", "python3", "py", "pytorch"})
OPENINGS = ("import ", "from ", "class ", "def ")
LIMIT = 1 << 20  # characters; a longer completion is no program


def extract(text: str) -> bytes | None:
    """Return the source of the first Python block of `text` in UTF-8, or None if there is no code.

    Fences are CommonMark's (0.31, section 4.5): a block ends at a line of at least as many backticks as opened it, or
    with the text. Takes time linear in the length of `text`.
    """
    if len(text) > LIMIT:
        return None
    for language, lines in _blocks(text):
        if language in LANGUAGES and any(line.strip() for line in lines):
            return _encoded(lines)
    lines = text.removesuffix("\n").split("\n")
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    return _encoded(lines) if first.startswith(OPENINGS) and not _fenced(lines) else None


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    opened = 0
    language, lines = "", list[str]()
    for line in text.removesuffix("\n").split("\n"):
        marks, rest = _fence(line)
        if opened and marks >= opened and not rest:
            yield language, lines
            opened = 0
        elif opened:
            lines.append(line)
        elif marks and "`" not in rest:
            opened, language, lines = marks, rest.split()[0].lower() if rest.split() else "", []
    if opened:
        yield language, lines


def _fence(line: str) -> tuple[int, str]:
    """Return how many backticks (none, or at least three) a line begins with, and the text after them."""
    bare = line.strip()
    rest = bare.lstrip("`")
    marks = len(bare) - len(rest)
    return (marks, rest.strip()) if marks >= len(MARK) else (0, bare)


def _fenced(lines: list[str]) -> bool:
    return any(line.startswith(MARK) for line in lines)


def _encoded(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
