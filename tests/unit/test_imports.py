"""Who may import whom, and that nothing on the host's side executes or unpickles what a candidate made."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT

FORBIDDEN = {  # of each package: those that none of its modules may import
    "orchestrator": {"torch", "transformers", "peft", "accelerate", "llm", "pickle", "marshal", "shelve", "dill"},
    "llm": {"pickle", "marshal", "shelve", "dill", "docker"},
    "sandbox_image": {"orchestrator", "llm", "docker", "pydantic", "pickle", "marshal", "shelve"},
}
CALLS = {"exec", "eval", "compile", "__import__"}
METHODS = {("torch", "load"), ("importlib", "import_module"), ("np", "load"), ("numpy", "load"), ("pickle", "loads")}
PICKLED = "allow_pickle"


def modules(package: str) -> list[Path]:
    return [
        path for path in sorted((CHECKOUT / package).rglob("*.py")) if "probes" not in path.relative_to(CHECKOUT).parts
    ]


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def called(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """Yield what is called, by its name or by object and method, but for numpy's `load` where it unpickles nothing."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        safe = any(word.arg == PICKLED and isinstance(word.value, ast.Constant) and not word.value.value
                   for word in node.keywords)  # fmt: skip
        if isinstance(node.func, ast.Name):
            yield (node.func.id,)
        elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and not safe:
            yield (node.func.value.id, node.func.attr)


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_package_imports_what_it_may_not(package: str) -> None:
    found = modules(package)
    assert len(found) > 10
    for path in found:
        there = set(imported(ast.parse(path.read_text(encoding="utf-8"))))
        assert not there & FORBIDDEN[package], path


@pytest.mark.parametrize("package", ["orchestrator", "llm"])
def test_nothing_on_the_host_executes_or_unpickles_a_text(package: str) -> None:
    for path in modules(package):
        calls = set(called(ast.parse(path.read_text(encoding="utf-8"))))
        assert not calls & {(name,) for name in CALLS}, path
        assert not calls & METHODS, path


def test_a_forbidden_call_would_be_seen() -> None:
    text = (
        "import pickle\nfrom llm.model import load\neval('1')\ntorch.load('x')\nnp.load('x')\n"
        "np.load('x', allow_pickle=False)"
    )
    tree = ast.parse(text)
    assert set(imported(tree)) == {"pickle", "llm"}
    assert set(called(tree)) == {("eval",), ("torch", "load"), ("np", "load")}
