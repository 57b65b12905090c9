"""What a syntax tree says about the contract: the class `Net`, its methods, its hyperparameters, its imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

REQUIRED = ("__init__", "forward")
STANDARD = ("train_setup", "learn")
HYPERPARAMETERS = "supported_hyperparameters"
NAMES_LIMIT = 48  # names of one kind that a reply can hold, and characters in each
COLLECTIONS = frozenset({"set", "frozenset", "list", "tuple"})
CONSTRUCTOR = ("in_shape", "out_shape", "prm", "device")


class ContractError(ValueError):
    """The program parses but cannot be evaluated; the message says what it lacks."""


@dataclass(frozen=True)
class Outline:
    """The parts of a module that the contract speaks of; `None` or absent if the module lacks one."""

    tree: ast.Module
    net: ast.ClassDef | None
    methods: dict[str, ast.FunctionDef]
    hyperparameters: ast.FunctionDef | None


def outline(tree: ast.Module) -> Outline:
    """Find the contract's parts in `tree`; of several definitions of one name the last stands, as in Python."""
    net = None
    function = None
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "Net":
            net = node
        elif isinstance(node, ast.FunctionDef) and node.name == HYPERPARAMETERS:
            function = node
    body = net.body if net else []
    methods = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    return Outline(tree=tree, net=net, methods=methods, hyperparameters=function)


def check(parts: Outline) -> None:
    """Raise ContractError naming everything that `parts` lacks of a program that can be evaluated."""
    check_core(parts)
    missing = [f"Net.{name}" for name in STANDARD if name not in parts.methods]
    if parts.hyperparameters is None:
        missing.append(f"{HYPERPARAMETERS}()")
    if missing:
        raise ContractError(f"lacks {', '.join(missing)}")


def check_core(parts: Outline) -> None:
    """Raise ContractError unless `class Net` has a base, a fitting `__init__` and a `forward` of its own.

    The base is nn.Module or a class that derives from it, which the text alone does not tell; instantiating does.
    """
    if parts.net is None:
        raise ContractError("lacks class Net at module level")
    if all(dotted(base) == "object" for base in parts.net.bases):
        raise ContractError("class Net does not derive from nn.Module")
    missing = [f"Net.{name}" for name in REQUIRED if name not in parts.methods]
    if missing:
        raise ContractError(f"lacks {', '.join(missing)}")
    if not _constructs(parts.methods["__init__"].args):
        raise ContractError(f"Net.__init__ does not take ({', '.join(CONSTRUCTOR)})")


def hyperparameter_names(parts: Outline) -> tuple[str, ...] | None:
    """Return the sorted keys that `supported_hyperparameters` returns as one literal, or None if unknown."""
    if parts.hyperparameters is None:
        return None
    returned = [node.value for node in ast.walk(parts.hyperparameters) if isinstance(node, ast.Return)]
    if len(returned) != 1 or returned[0] is None:
        return None
    items = _literal_items(returned[0])
    keys = {item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)}
    known = len(items) > 0 and all(isinstance(item, ast.Constant) and item.value in keys for item in items)
    if not known or len(keys) > NAMES_LIMIT or not all(key.isprintable() and len(key) <= NAMES_LIMIT for key in keys):
        return None
    return tuple(sorted(keys))


def imported_packages(tree: ast.Module) -> tuple[str, ...]:
    """Return the sorted top-level packages that import statements anywhere in `tree` name ("." for a relative one).

    Raises:
        ContractError: more or longer names than a reply can hold.
    """
    names: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add("." if node.level or node.module is None else node.module.partition(".")[0])
    if len(names) > NAMES_LIMIT or any(len(name) > NAMES_LIMIT for name in names):
        raise ContractError(f"imports more than {NAMES_LIMIT} packages, or one with a longer name than that")
    return tuple(sorted(names))


def dotted(node: ast.expr) -> str | None:
    """Return `a.b.c` for an expression that is only names and dots, else None."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(names)])


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield every statement at any depth, without looking into expressions, which hold most of a tree's nodes."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, field, None)
            if isinstance(inner, list):
                waiting.extend(inner)


def _literal_items(node: ast.expr) -> list[ast.expr | None]:
    if isinstance(node, ast.Call) and dotted(node.func) in COLLECTIONS and len(node.args) == 1:
        node = node.args[0]
    if isinstance(node, ast.Dict):
        return list(node.keys)
    if isinstance(node, ast.Set | ast.List | ast.Tuple):
        return list(node.elts)
    return []


def _constructs(arguments: ast.arguments) -> bool:
    named = [argument.arg for argument in arguments.posonlyargs + arguments.args]
    required = len(named) - len(arguments.defaults)
    optional = all(default is not None for default in arguments.kw_defaults)
    return tuple(named[1 : 1 + len(CONSTRUCTOR)]) == CONSTRUCTOR and required <= 1 + len(CONSTRUCTOR) and optional
