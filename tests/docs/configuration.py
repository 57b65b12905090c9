"""The reference of the configuration: every key with its kind, its default and its meaning, as the code states them."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from orchestrator.config import Config
from tests.docs.markdown import cell, table

REQUIRED = "required"
KINDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false", "null": "null"}
LARGE = 1 << 16  # numbers from here on are bytes
LARGEST = 1 << 62  # a bound above this is the machine's, and nobody needs to be told


def meanings(section: type[BaseModel]) -> dict[str, str]:
    """Return the text under each key of `section`, as its source states it; a key without one is left out."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for key, below in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(key, ast.AnnAssign) or not isinstance(key.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found[key.target.id] = inspect.cleandoc(str(below.value.value))
    return found


def sections(kind: type[BaseModel] = Config, prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield every section of the configuration under its whole key, the top level first, in the order of the code."""
    yield prefix, kind
    for name, field in kind.model_fields.items():
        if (below := section_of(field.annotation)) is not None:
            yield from sections(below, f"{prefix}{field.alias or name}.")


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the section that a key holds, or None for a value."""
    for kind in (annotation, *getattr(annotation, "__args__", ())):
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            return kind
    return None


def reference() -> str:
    """Return one chapter a section, each a table of its keys."""
    return "\n".join(_chapter(prefix, section) for prefix, section in sections())


def _chapter(prefix: str, section: type[BaseModel]) -> str:
    schema = section.model_json_schema(by_alias=True)
    meant = meanings(section)
    rows = [
        (
            f"`{prefix}{field.alias or name}`",
            _kind(schema["properties"][field.alias or name]),
            _default(schema["properties"][field.alias or name]),
            cell(meant[name]),
        )
        for name, field in section.model_fields.items()
        if name in meant
    ]
    title = f"### {prefix.rstrip('.') or 'The top level'}"
    return f"{title}\n\n{inspect.getdoc(section)}\n\n{table(('key', 'kind', 'default', 'meaning'), rows)}"


def _kind(schema: dict[str, Any]) -> str:
    """Return what a value must be, in words."""
    if "anyOf" in schema:
        return "; or ".join(_kind(one) for one in schema["anyOf"])
    if "$ref" in schema:
        return "section"
    if "const" in schema or "enum" in schema:
        *others, last = (f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
        return f"{', '.join(others)} or {last}" if others else last
    if schema["type"] == "array":
        several = f"{len(schema['prefixItems'])} integers" if "prefixItems" in schema else _kind(schema["items"])
        return f"list: {several}"
    return ", ".join((KINDS[schema["type"]], *_bounds(schema)))


def _bounds(schema: dict[str, Any]) -> Iterator[str]:
    for key, words in (
        ("minimum", "at least"),
        ("exclusiveMinimum", "above"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "below"),
    ):
        if key in schema and schema[key] < LARGEST:
            yield f"{words} {schema[key]:,g}" if isinstance(schema[key], float) else f"{words} {schema[key]:,}"


def _default(schema: dict[str, Any]) -> str:
    """Return the default as YAML has it, and a large one in words too."""
    if "default" not in schema:
        return REQUIRED
    value = schema["default"]
    if isinstance(value, str):
        return f"`{value}`"
    return f"`{json.dumps(value)}`{_size(value) if schema.get('type') == 'integer' else ''}"


def _size(value: int) -> str:
    for name, unit in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= LARGE and value % unit == 0:
            return f" ({value // unit} {name})"
    return ""
