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
CONTAINERS = frozenset({"Sequential"})  # of torch's own modules those that have a `forward` for any content
CONSTRUCTOR = ("in_shape", "out_shape", "prm", "device")


class ContractError(ValueError):
    """The program parses but cannot be evaluated; the message says what it lacks."""


@dataclass(frozen=True)
class Outline:
    """The parts of a module that the contract speaks of; `None` or absent if the module lacks one.

    `methods` are those that `Net` itself defines, `inherited` those that it has from classes of the module, or by an
    assignment: None then, if the function behind it cannot be told.
    """

    tree: ast.Module
    net: ast.ClassDef | None
    methods: dict[str, ast.FunctionDef]
    inherited: dict[str, ast.FunctionDef | None]
    hyperparameters: ast.FunctionDef | None

    def method(self, name: str) -> ast.FunctionDef | None:
        """Return the definition of a method that `Net` has; None if it has none, or if that cannot be told."""
        return self.methods.get(name, self.inherited.get(name))

    def has(self, name: str) -> bool:
        """Whether `Net` has a method, wherever from."""
        return name in self.methods or name in self.inherited


def outline(tree: ast.Module) -> Outline:
    """Find the contract's parts in `tree`; of several definitions of one name the last stands, as in Python."""
    net = None
    function = None
    classes: dict[str, ast.ClassDef] = {}
    given: dict[str, ast.FunctionDef | None] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            classes[node.name] = node
            net = node if node.name == "Net" else net
        elif isinstance(node, ast.FunctionDef) and node.name == HYPERPARAMETERS:
            function = node
        elif isinstance(node, ast.Assign):
            for target in map(dotted, node.targets):
                if target == "Net" and isinstance(node.value, ast.Name):
                    net = classes.get(node.value.id, net)
                elif target is not None and target.startswith("Net."):
                    given[target.removeprefix("Net.")] = None
    methods = _methods(net) if net else {}
    own = {name: node for name, node in methods.items() if node is not None}
    assigned = {name: None for name, node in methods.items() if node is None}
    ancestors = _inherited(net, classes) if net else {}
    return Outline(tree=tree, net=net, methods=own, inherited=ancestors | assigned | given, hyperparameters=function)


def _methods(node: ast.ClassDef) -> dict[str, ast.FunctionDef | None]:
    """Return what the body of a class defines or assigns, by name; None for what is no plain function."""
    found: dict[str, ast.FunctionDef | None] = {}
    for one in node.body:
        if isinstance(one, ast.FunctionDef):
            found[one.name] = one
        elif isinstance(one, ast.Assign):
            found.update((target.id, None) for target in one.targets if isinstance(target, ast.Name))
    return found


def _inherited(net: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> dict[str, ast.FunctionDef | None]:
    """Return the methods of the classes of the module from which `net` derives, the nearest first."""
    found: dict[str, ast.FunctionDef | None] = {}
    seen = {net.name}
    waiting = list(net.bases)
    while waiting:
        base = waiting.pop(0)
        name = dotted(base.value if isinstance(base, ast.Subscript) else base)
        if name is not None and name.rpartition(".")[2] in CONTAINERS:
            found.setdefault("forward", None)
        if name is None or name in seen or name not in classes:
            continue
        seen.add(name)
        found = _methods(classes[name]) | found
        waiting = [*classes[name].bases, *waiting]
    return found


def check(parts: Outline) -> None:
    """Raise ContractError naming everything that `parts` lacks of a program that can be evaluated."""
    check_core(parts)
    missing = [f"Net.{name}" for name in STANDARD if not parts.has(name)]
    if parts.hyperparameters is None:
        missing.append(f"{HYPERPARAMETERS}()")
    if missing:
        raise ContractError(f"lacks {', '.join(missing)}")


def check_core(parts: Outline) -> None:
    """Raise ContractError unless `class Net` has a base, a fitting `__init__` and a `forward`, its own or inherited.

    The base is nn.Module or a class that derives from it, which the text alone does not tell; instantiating does.
    """
    if parts.net is None:
        raise ContractError("lacks class Net at module level")
    if all(dotted(base) == "object" for base in parts.net.bases):
        raise ContractError("class Net does not derive from nn.Module")
    missing = [f"Net.{name}" for name in REQUIRED if not parts.has(name)]
    if missing:
        raise ContractError(f"lacks {', '.join(missing)}")
    constructor = parts.method("__init__")
    if constructor is not None and not _constructs(constructor.args):
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
