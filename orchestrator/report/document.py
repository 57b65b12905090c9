"""What a report consists of, and the files that it becomes: a page, a Markdown text, figures and summaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.report.comparison import comparison
from orchestrator.report.figures import Figure
from orchestrator.report.results import Results
from orchestrator.report.run_tables import Chapter, chapter
from orchestrator.report.table import Table


@dataclass(frozen=True)
class Document:
    """Everything that the page and the Markdown text show, in their order."""

    title: str
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]
    chapters: tuple[Chapter, ...]


def compose(results: Sequence[Results], *, figures: tuple[Figure, ...]) -> Document:
    """Return the report on `results`, with the figures that were drawn of them."""
    return Document(
        title=f"Report on {', '.join(one.label for one in results)}",
        tables=comparison(results),
        figures=figures,
        chapters=tuple(chapter(one) for one in results),
    )
