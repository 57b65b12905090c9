"""Cuts the body of one method out of a program's text, which is not parsed for it."""

from __future__ import annotations

import re

HEAD = re.compile(r"([ \t]+)(?:async[ \t]+)?def[ \t]+\w+[ \t]*\(")
LONGEST_HEAD = 50  # lines
MISSING = "...  # missing"


def cut_out(text: str, *, choice: int) -> str | None:
    """Return `text` with the body of one of its methods replaced by a mark, or None if it has none.

    A method is an indented `def`; its body is what follows the line that ends its head and is indented more. One whose
    body stands in the line of its head is left alone. `choice`, modulo their number, says which, so that the same seed
    cuts the same. Lines inside a string that look like a method count as one, which does no harm: the text is only
    shown, never run.
    """
    lines = text.split("\n")
    bodies = [found for number, line in enumerate(lines) if (found := _body(lines, number, line)) is not None]
    if not bodies:
        return None
    start, end, indent = bodies[choice % len(bodies)]
    return "\n".join([*lines[:start], f"{indent}{MISSING}", *lines[end:]])


def _body(lines: list[str], number: int, line: str) -> tuple[int, int, str] | None:
    """Return where the body of the method that begins in `line` starts and ends, and how its first line is indented."""
    head = HEAD.match(line)
    if head is None:
        return None
    start = end = _after_head(lines, number, head.end() - 1)
    for n in range(start, len(lines)):
        if lines[n].strip():
            if not lines[n].startswith((head[1] + " ", head[1] + "\t")):
                break
            end = n + 1
    if end == start:
        return None
    first = next(line for line in lines[start:end] if line.strip())
    return start, end, first[: len(first) - len(first.lstrip())]


def _after_head(lines: list[str], number: int, column: int) -> int:
    """Return the first line after the head whose parameters open at `column`; none if a body begins in its line."""
    depth = 0
    for n in range(number, min(number + LONGEST_HEAD, len(lines))):
        text = lines[n][column if n == number else 0 :]
        for position, character in enumerate(text):
            if character == "#":
                break
            depth += (character in "([{") - (character in ")]}")
            if character == ":" and depth == 0:
                rest = text[position + 1 :].strip()
                return len(lines) if rest and not rest.startswith("#") else n + 1
    return len(lines)
