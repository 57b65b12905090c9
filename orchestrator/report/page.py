"""The report as one HTML page that asks nobody for anything: figures within it, no script, a policy against any."""

from __future__ import annotations

from typing import Any

from orchestrator.escape import escaped
from orchestrator.report.document import Document

MARKUP = 1 << 17  # characters of one highlighted text; one that takes more is shown plain


def render(document: Document) -> str:
    """Return the page. Whatever it shows goes through `escaped` and then through HTML's own escaping."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("orchestrator.report"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["python"] = lambda text: _highlighted(text, lexer="python")
    environment.filters["diff"] = lambda text: _highlighted(text, lexer="diff")
    drawn = {figure.name: [(label, Markup(svg)) for label, svg in figure.panels] for figure in document.figures}  # noqa: S704 - drawn by us
    return environment.get_template("page.html").render(document=document, drawn=drawn, colours=_colours())


def _shown(value: Any) -> Any:
    """Return what the template shows for `value`: text without anything that could reorder a line or hide in it."""
    from markupsafe import Markup

    return escaped(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _highlighted(text: str, *, lexer: str) -> Any:
    """Return escaped text as markup, in colours if that is not too much of it."""
    from markupsafe import Markup, escape
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name

    shown = escaped(text)
    markup = highlight(shown, get_lexer_by_name(lexer), HtmlFormatter(nowrap=True))
    return Markup(markup) if len(markup) <= MARKUP else escape(shown)  # noqa: S704 - pygments escapes what it marks up


def _colours() -> Any:
    from markupsafe import Markup
    from pygments.formatters import HtmlFormatter

    return Markup(HtmlFormatter(style="default").get_style_defs(".code"))  # noqa: S704 - a style sheet of pygments
