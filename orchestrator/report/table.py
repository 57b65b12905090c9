"""A table of text, to be shown as Markdown or HTML."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows under a head; `words` names the columns that hold words and not numbers, `emphasis` the rows set apart."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    words: frozenset[str] = frozenset()
    emphasis: frozenset[int] = frozenset()

    def is_words(self, position: int) -> bool:
        """Whether column `position` holds words."""
        return self.head[position] in self.words
