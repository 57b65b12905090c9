"""The reference of the library: every name that `import orchestrator` hands on, with its signature and its text."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel

import orchestrator

WIDTH = 100  # characters: a longer signature has a line for each parameter


def reference() -> str:
    """Return one chapter a function, and one for each class with its methods; Config's keys have a page."""
    return "\n".join(text for name in orchestrator.__all__ for text in _chapter(name, getattr(orchestrator, name)))


def _chapter(name: str, value: Any) -> Iterator[str]:
    if not inspect.isclass(value):
        yield f"### {name}\n\n{_signature(value)}\n\n{_text(value)}\n"
        return
    yield f"### {name}\n\n{_text(value)}\n"
    for member, found in vars(value).items():
        if member.startswith("_") or issubclass(value, BaseModel):
            continue
        if isinstance(found, property) and found.fget is not None:
            kind = inspect.signature(found.fget).return_annotation
            yield f"#### {name}.{member}\n\n```text\n{member}: {kind}\n```\n\n{_text(found)}\n"
        elif inspect.isfunction(found):
            yield f"#### {name}.{member}\n\n{_signature(found)}\n\n{_text(found)}\n"


def _signature(function: Callable[..., Any]) -> str:
    """Return the signature as its source has it, fenced."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(tree, ast.FunctionDef)
    assert tree.returns is not None
    given, gives = tree.args, ast.unparse(tree.returns)
    given.args = [one for one in given.args if one.arg != "self"]
    defaults = [None] * (len(given.args) - len(given.defaults)) + given.defaults
    parts = [_parameter(*pair) for pair in zip(given.args, defaults, strict=True)]
    if given.kwonlyargs:
        parts += ["*", *(_parameter(*pair) for pair in zip(given.kwonlyargs, given.kw_defaults, strict=True))]
    shown = f"{tree.name}({', '.join(parts)}) -> {gives}"
    if len(shown) > WIDTH:
        shown = "\n".join((f"{tree.name}(", *(f"    {part}," for part in parts), f") -> {gives}"))
    return f"```text\n{shown}\n```"


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(argument) if default is None else f"{ast.unparse(argument)} = {ast.unparse(default)}"


def _text(value: Any) -> str:
    """Return a docstring as Markdown: examples fenced, and what is raised as a list."""
    prose, raised, errors = (inspect.getdoc(value) or "").partition("\nRaises:\n")
    blocks = [_block(one) for one in prose.strip().split("\n\n")]
    if raised:
        lines = textwrap.dedent(errors).splitlines()
        items = "\n".join(f"  {line.strip()}" if line.startswith(" ") else f"- {line}" for line in lines)
        blocks.append(f"Raises:\n\n{items}")
    return "\n\n".join(blocks)


def _block(text: str) -> str:
    return f"```py\n{textwrap.dedent(text)}\n```" if text.startswith("    ") else text
