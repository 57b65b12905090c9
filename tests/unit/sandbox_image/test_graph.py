"""Equal graphs have one digest, whatever the order in which they were executed; graphs are bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_image.graph import BYTES, NODES, Graph, GraphError, Use

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=8,
)


def begun() -> tuple[Graph, Use]:
    graph = Graph()
    return graph, Use(graph.add("images", (4, 3, 8, 8), leaf=True))


def digest(*arguments: Any, name: str = "aten::conv") -> str:
    graph, images = begun()
    return graph.digest(Use(graph.add(name, (images, *arguments))))[0]


@given(PLAIN, PLAIN)
def test_two_plain_arguments_give_one_digest_only_where_they_are_the_same(one: Any, other: Any) -> None:
    assert (digest(one) == digest(other)) == (repr(one) == repr(other))


def branches(*, swapped: bool, name: str) -> str:
    graph, images = begun()
    first, second = (Use(graph.add(branch, (images,))) for branch in (("a", "b") if not swapped else ("b", "a")))
    return graph.digest(Use(graph.add(name, (first, second))))[0]


def test_the_order_of_addends_and_of_execution_does_not_count() -> None:
    assert branches(swapped=False, name="aten::add.Tensor") == branches(swapped=True, name="aten::add.Tensor")
    assert branches(swapped=False, name="aten::sub.Tensor") != branches(swapped=True, name="aten::sub.Tensor")


def test_what_leads_nowhere_does_not_count() -> None:
    graph, images = begun()
    graph.add("dead", (images,))
    result = Use(graph.add("aten::relu", (images,)))
    graph.add("also dead", (result,))
    assert graph.digest(result) == (digest(name="aten::relu"), 1)


def twice(*, shared: bool) -> str:
    graph, images = begun()
    weights = [Use(graph.add("parameter", (8, 8), leaf=True)) for _ in range(2)]
    inner = Use(graph.add("linear", (images, weights[0])))
    return graph.digest(Use(graph.add("linear", (inner, weights[0 if shared else 1]))))[0]


def test_a_layer_that_is_used_twice_is_not_two_layers() -> None:
    assert twice(shared=True) != twice(shared=False)


def test_another_output_and_another_layout_are_another_result() -> None:
    graph, images = begun()
    node = graph.add("split", (images,))
    uses = [Use(node), Use(node, 1), Use(node, 0, (0, (4,), (1,)))]
    assert len({graph.digest(use)[0] for use in uses}) == 3


def test_a_chain_is_bounded_by_its_nodes_and_needs_no_recursion() -> None:
    graph, use = begun()
    for _ in range(NODES - 1):
        use = Use(graph.add("aten::relu", (use,)))
    assert graph.digest(use)[1] == NODES - 1
    with pytest.raises(GraphError):
        graph.add("aten::relu", (use,))


def test_long_arguments_are_bounded_together() -> None:
    graph, _ = begun()
    long = tuple(range(1000))
    for _ in range(BYTES // len(str(long))):
        graph.add("aten::cat", long)
    with pytest.raises(GraphError):
        graph.add("aten::cat", (long,) * 500)


@pytest.mark.parametrize("odd", [object(), b"bytes", "x" * 1000, 10**400, ["a list"]])
def test_what_is_no_plain_value_is_refused(odd: object) -> None:
    with pytest.raises(GraphError):
        digest(odd)
