"""The operations of one forward pass as a graph, and the one text that equal graphs share whatever they were called."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

SCHEME = "1"  # raise it with every change of the text: digests of two schemes never agree
NODES = 20_000
BYTES = 4 << 20
WORD = 200  # characters of one plain argument
PLAIN = frozenset((bool, int, float, complex, str))
GAP = "\0"  # where a use stands in a text: no plain value's own text holds it
COMMUTATIVE = frozenset(("aten::add.Tensor", "aten::mul.Tensor", "aten::maximum", "aten::minimum"))


class GraphError(Exception):
    """The forward pass is larger than a graph may be, or holds something that no graph can say."""


@dataclass(frozen=True)
class Use:
    """A result that is read: which output of which node, and how it is laid out if that is not as it was made."""

    node: int
    output: int = 0
    view: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Node:
    """One operation, or a leaf that no operation made: its text, and the uses that belong into its gaps."""

    text: str
    uses: tuple[Use, ...]
    leaf: bool
    identity: bytes  # of the node and all that it came from, for an order that does not depend on names or time


class Graph:
    """Takes nodes in the order of execution; a node only uses earlier ones."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._bytes = 0

    def add(self, name: str, arguments: tuple[Any, ...], *, leaf: bool = False) -> int:
        """Return the number of a new node; arguments are plain values, uses, and tuples of both.

        Raises:
            GraphError: the graph would be over its limits, or an argument is no plain value.
        """
        if name in COMMUTATIVE and len(arguments) == len(("one", "other")):
            arguments = tuple(sorted(arguments, key=self._rank))
        uses: list[Use] = []
        text = f"{name} {_text(arguments, uses)}"
        whole = _filled(text, uses, self._identity)
        self._bytes += len(whole)
        if len(self._nodes) >= NODES or self._bytes > BYTES:
            raise GraphError("a forward pass over the limits")
        identity = hashlib.sha256(whole.encode()).digest()
        self._nodes.append(Node(text, tuple(uses), leaf, identity))
        return len(self._nodes) - 1

    def digest(self, result: Use) -> tuple[str, int]:
        """Return the SHA-256 of all that `result` came from, and how many operations that were.

        What nothing of the result came from does not count, nor does the order in which branches were executed.
        """
        order = self._order(result.node)
        numbers = {node: number for number, node in enumerate(order)}

        def numbered(use: Use) -> str:
            return f"%{numbers[use.node]}.{use.output}{_layout(use)}"

        text = hashlib.sha256(f"scheme {SCHEME}\n".encode())
        for node in order:
            one = self._nodes[node]
            text.update(f"{_filled(one.text, one.uses, numbered)}\n".encode())
        text.update(f"result {numbered(result)}\n".encode())
        return text.hexdigest(), sum(not self._nodes[node].leaf for node in order)

    def _order(self, root: int) -> list[int]:
        """Return the nodes that `root` came from, each behind all that it uses, in the order of arguments."""
        order: list[int] = []
        seen = {root}
        waiting = [(root, iter(self._nodes[root].uses))]
        while waiting:
            node, uses = waiting[-1]
            following = next((use.node for use in uses if use.node not in seen), None)
            if following is None:
                order.append(node)
                waiting.pop()
            else:
                seen.add(following)
                waiting.append((following, iter(self._nodes[following].uses)))
        return order

    def _rank(self, argument: Any) -> str:
        return self._identity(argument) if isinstance(argument, Use) else repr(argument)

    def _identity(self, use: Use) -> str:
        return f"{self._nodes[use.node].identity.hex()}.{use.output}{_layout(use)}"


def _text(value: Any, uses: list[Use]) -> str:
    """Return the text of an argument, with a gap for each of its uses, which are added to `uses`."""
    kind = type(value)
    if kind is Use:
        uses.append(value)
        return GAP
    if kind is tuple:
        return f"({','.join([_text(one, uses) for one in value])})"
    if value is None or kind in PLAIN:
        text = repr(value)
        if len(text) <= WORD:
            return text
    raise GraphError("an argument that is no plain value")


def _filled(text: str, uses: Sequence[Use], named: Callable[[Use], str]) -> str:
    first, *parts = text.split(GAP)
    return first + "".join([named(use) + part for use, part in zip(uses, parts, strict=True)])


def _layout(use: Use) -> str:
    return "" if use.view is None else repr(use.view)
