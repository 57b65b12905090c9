"""The report as Markdown beside its figures; nothing that a candidate wrote is read as Markdown or HTML."""

from __future__ import annotations

import html
import re
from typing import Any

from orchestrator.escape import escaped, escaped_line
from orchestrator.report.document import Document

MEANING = re.compile(r"([\\`*_\[\]#|~@$]|:(?=//)|\.(?<=www\.))", re.IGNORECASE)  # of Markdown, and of bare links
FENCE = re.compile(r"`{3,}")


def render(document: Document) -> str:
    """Return the text. Whatever it shows goes through `escaped`, and loses its meaning as Markdown and as HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("orchestrator.report"),
        autoescape=False,  # noqa: S701 - `_shown` escapes for Markdown instead
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["fenced"] = _fenced
    return environment.get_template("report.md").render(document=document)


def plain(text: str) -> str:
    """Return `text` on one line, as Markdown that shows it and does nothing else."""
    line = html.escape(escaped_line(text), quote=False)
    return MEANING.sub(r"\\\1", line)


def _shown(value: Any) -> Any:
    from markupsafe import Markup

    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _fenced(text: str, language: str) -> Any:
    """Return a code block whose fence is longer than any within it."""
    from markupsafe import Markup

    shown = escaped(text)
    fence = "`" * max(3, 1 + max((len(found) for found in FENCE.findall(shown)), default=0))
    return Markup(f"{fence}{language}\n{shown}\n{fence}")  # noqa: S704 - nothing in the block ends it
