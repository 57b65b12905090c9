"""A page of the documentation: prose that a person writes, a mark, and below it what is generated from the code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.docs import commands, configuration, library
from tests.support.checkout import CHECKOUT

DOCS = CHECKOUT / "docs"
MARK = "<!-- Below this line `make docs` writes what the code says. -->\n"


@dataclass(frozen=True)
class Page:
    """One page, and what makes its generated part."""

    path: Path
    generated: Callable[[], str]

    def text(self) -> str:
        """Return the page as it should be: its prose as it stands, then the generated part."""
        prose, mark, _ = self.path.read_text(encoding="utf-8").partition(MARK)
        assert mark, f"{self.path}: the line {MARK!r} is missing"
        return f"{prose}{mark}\n{self.generated()}"


PAGES = (
    Page(DOCS / "configuration.md", configuration.reference),
    Page(DOCS / "commands.md", commands.reference),
    Page(DOCS / "library.md", library.reference),
)
