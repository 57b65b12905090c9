"""Edits of a program's text: the contract's standard parts appended if missing, or removed."""

from __future__ import annotations

import ast

from sandbox_image import contract, shingles

TRAIN_SETUP = """\
def train_setup(self, prm):
    self.criterion = nn.CrossEntropyLoss()
    self.optimizer = torch.optim.SGD(self.parameters(), lr=prm['lr'], momentum=prm['momentum'])
"""

LEARN = """\
def learn(self, train_data):
    device = next(self.parameters()).device
    self.train()
    for inputs, labels in train_data:
        inputs, labels = inputs.to(device), labels.to(device)
        self.optimizer.zero_grad()
        loss = self.criterion(self(inputs), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters(), 3.0)
        self.optimizer.step()
"""

SUPPORTED = """\
def supported_hyperparameters():
    return {'lr', 'momentum'}
"""

IMPORTS = {"torch": "import torch", "nn": "import torch.nn as nn"}
METHODS = {"train_setup": TRAIN_SETUP, "learn": LEARN}


def complete(text: str, parts: contract.Outline) -> tuple[str, tuple[str, ...]]:
    """Append the standard parts that a program with a sound `Net` lacks; return the text and what was added.

    Imports of torch and nn are added if the names are used, or needed by a part, and nothing binds them.
    """
    net = parts.net
    if net is None:
        return text, ()
    lines = _lines(text)
    added: list[str] = []
    methods = [name for name in METHODS if not parts.has(name)]
    if methods and net.body[0].lineno == net.lineno:
        raise contract.ContractError("class Net stands on one line, and lacks what cannot be added there")
    indent = _indent(lines, net.body[0])
    inserted = "".join("\n" + _indented(METHODS[name], indent) for name in methods)
    needed = _loaded(parts.tree) | (set(IMPORTS) if methods else set())
    imports = [name for name in IMPORTS if name in needed and name not in _bound(parts.tree)]
    place = _preamble(parts.tree)
    end = net.end_lineno or len(lines)
    head = _ended("".join(lines[:place]))
    body = _ended("".join(lines[place:end])) + inserted
    tail = "".join(lines[end:])
    added += [IMPORTS[name] for name in imports] + methods
    if parts.hyperparameters is None:
        tail = (_ended(tail) if tail.strip() else "") + "\n\n" + SUPPORTED
        added.append(contract.HYPERPARAMETERS)
    if not added:
        return text, ()
    return head + "".join(f"{IMPORTS[name]}\n" for name in imports) + body + tail, tuple(added)


def strip(text: str, parts: contract.Outline) -> str:
    """Return `text` without `supported_hyperparameters`, `Net.train_setup` and `Net.learn`; the rest stays as it is."""
    net = parts.net
    nodes = [node for node in parts.tree.body if _named(node, {contract.HYPERPARAMETERS})]
    nodes += [node for node in (net.body if net else []) if _named(node, set(contract.STANDARD))]
    dropped = {number for node in nodes for number in _span(node)}
    return _tidy(text, dropped)


def compact(text: str, tree: ast.Module) -> str:
    """Return `text` without comments, docstrings, `__main__` blocks, unused imports and repeated blank lines."""
    lines = _lines(text)
    dropped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            dropped |= _docstring(node, lines)
    loaded = _loaded(tree)
    for node in tree.body:
        if _is_main(node) or (isinstance(node, ast.Import | ast.ImportFrom) and _unused(node, loaded)):
            dropped |= set(_span(node))
    for lexeme in shingles.scan(text):
        if lexeme.kind == "comment":
            rest = lines[lexeme.row - 1][: lexeme.column].rstrip()
            lines[lexeme.row - 1] = f"{rest}\n"
            if not rest:
                dropped.add(lexeme.row)
    return _tidy("".join(lines), dropped)


def _tidy(text: str, dropped: set[int]) -> str:
    """Remove the numbered lines (from 1), then blank lines at the start, at the end and beside other blank ones."""
    inside = _string_lines(text)
    kept: list[str] = []
    for number, line in enumerate(_lines(text), start=1):
        if number in dropped:
            continue
        blank = not line.strip() and number not in inside
        if blank and (not kept or (len(kept) > 1 and not kept[-1].strip() and not kept[-2].strip())):
            continue
        kept.append(line)
    while kept and not kept[-1].strip():
        kept.pop()
    return _ended("".join(kept))


def _string_lines(text: str) -> set[int]:
    numbers: set[int] = set()
    for lexeme in shingles.scan(text):
        if lexeme.last_row > lexeme.row:  # only a string spans rows
            numbers.update(range(lexeme.row, lexeme.last_row + 1))
    return numbers


def _docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> set[int]:
    """Return the lines of the docstring of `node` if nothing else stands on them and it is not the whole body."""
    first = node.body[0] if node.body else None
    if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant) or len(node.body) == 1:
        return set()
    if not isinstance(first.value.value, str) or any(_shares(first, other) for other in node.body[1:2]):
        return set()
    if lines[first.lineno - 1].encode()[: first.col_offset].strip():
        return set()
    return set(_span(first))


def _shares(one: ast.stmt, other: ast.stmt) -> bool:
    return (one.end_lineno or one.lineno) >= other.lineno


def _unused(node: ast.Import | ast.ImportFrom, loaded: set[str]) -> bool:
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return False
    names = {(alias.asname or alias.name.partition(".")[0]) for alias in node.names}
    return not names & (loaded | {"torch", "nn", "*"})


def _is_main(node: ast.stmt) -> bool:
    if not isinstance(node, ast.If) or node.orelse or not isinstance(node.test, ast.Compare):
        return False
    named = isinstance(node.test.left, ast.Name) and node.test.left.id == "__name__"
    return named and isinstance(node.test.ops[0], ast.Eq)


def _named(node: ast.stmt, names: set[str]) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name in names


def _span(node: ast.stmt) -> range:
    decorators = getattr(node, "decorator_list", [])
    start = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return range(start, (node.end_lineno or node.lineno) + 1)


def _loaded(tree: ast.Module) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _bound(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return names


def _preamble(tree: ast.Module) -> int:
    """Return how many lines the module's docstring and `__future__` imports take; new imports go after them."""
    end = 0
    for index, node in enumerate(tree.body):
        string = index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not string and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            break
        end = node.end_lineno or end
    return end


def _indent(lines: list[str], node: ast.stmt) -> str:
    line = lines[_span(node)[0] - 1]
    return line[: len(line) - len(line.lstrip(" \t\f"))]


def _indented(part: str, indent: str) -> str:
    return "".join(indent + line for line in part.splitlines(keepends=True))


def _lines(text: str) -> list[str]:
    """Cut `text` where Python's own lexer does: not at form feeds or Unicode separators."""
    return [line.decode() for line in text.encode().splitlines(keepends=True)]


def _ended(text: str) -> str:
    return text if not text or text.endswith(("\n", "\r")) else text + "\n"
