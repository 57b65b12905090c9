"""A fingerprint knows networks apart that compute something else, and watching changes nothing of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional
from torch.nn.modules import module as modules
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode

from sandbox_image.fingerprint import Fingerprint
from sandbox_image.graph import NODES

SHAPE = (4, 3, 8, 8)
Forward = Callable[[Any, torch.Tensor], torch.Tensor]


class Net(nn.Module):
    """A network of the given layers, whose forward pass is a function of it."""

    def __init__(self, forward: Forward, **layers: nn.Module) -> None:
        super().__init__()
        self.way = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the function makes of the images."""
        return self.way(self, images)


def claim(forward: Forward, **layers: nn.Module) -> dict[str, Any]:
    images, net = torch.randn(SHAPE), Net(forward, **layers).eval()
    fingerprint = Fingerprint(images)
    with torch.no_grad(), fingerprint:
        logits = net(images)
    return fingerprint.claim(logits)


def seen(forward: Forward, **layers: nn.Module) -> str:
    return str(claim(forward, **layers)["fingerprint"])


def conv(width: int = 3, size: int = 3, stride: int = 1, groups: int = 1) -> nn.Module:
    return nn.Conv2d(3, width, size, stride=stride, padding=1, groups=groups)


def in_place(net: Any, images: torch.Tensor) -> torch.Tensor:
    total = images.clone()
    total += net.a(images)
    return total


def second_first(net: Any, images: torch.Tensor) -> torch.Tensor:
    second = net.b(images)
    return net.a(images) * second  # type: ignore[no-any-return]


def with_dead_code(net: Any, images: torch.Tensor) -> torch.Tensor:
    unused = net.b(images) * 2  # noqa: F841 - that is the point
    return net.a(images) + images  # type: ignore[no-any-return]


SAME: dict[str, list[tuple[Forward, dict[str, Callable[[], nn.Module]]]]] = {
    "an activation as a layer, a function, a method and in place": [
        (lambda net, x: functional.relu(net.a(x)), {"a": conv}),
        (lambda net, x: net.r(net.a(x)), {"a": conv, "r": nn.ReLU}),
        (lambda net, x: net.r(net.other(x)), {"r": lambda: nn.ReLU(inplace=True), "other": conv}),
        (lambda net, x: net.a(x).relu_(), {"a": conv}),
    ],
    "a residual connection": [
        (lambda net, x: net.a(x) + x, {"a": conv}),
        (lambda net, x: torch.add(x, net.a(x)), {"a": conv}),
        (in_place, {"a": conv}),
        (with_dead_code, {"a": conv, "b": conv}),
    ],
    "flattening": [
        (lambda net, x: net.a(x.view(4, -1)), {"a": lambda: nn.Linear(192, 10)}),
        (lambda net, x: net.a(x.reshape(x.size(0), 192)), {"a": lambda: nn.Linear(192, 10)}),
        (lambda net, x: net.a(x), {"a": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 10))}),
        (lambda net, x: net.a(x.flatten(1)), {"a": lambda: nn.LazyLinear(10)}),
    ],
    "branches in another order": [
        (lambda net, x: net.a(x) * net.b(x), {"a": conv, "b": nn.ReLU}),
        (second_first, {"b": nn.ReLU, "a": conv}),
    ],
}


@pytest.mark.parametrize("name", SAME)
def test_one_function_in_other_words_has_one_fingerprint(name: str) -> None:
    found = {seen(way, **{key: make() for key, make in layers.items()}) for way, layers in SAME[name]}
    assert len(found) == 1


def test_networks_that_compute_something_else_have_other_fingerprints() -> None:
    found = [
        seen(lambda net, x: functional.relu(net.a(x)), a=conv()),
        seen(lambda net, x: functional.gelu(net.a(x)), a=conv()),
        seen(lambda net, x: net.a(x), a=conv()),
        seen(lambda net, x: functional.relu(net.a(x)), a=conv(6)),
        seen(lambda net, x: functional.relu(net.a(x)), a=conv(3, 5)),
        seen(lambda net, x: functional.relu(net.a(x)), a=conv(3, 3, 2)),
        seen(lambda net, x: functional.relu(net.a(x)), a=conv(3, 3, 1, 3)),
        seen(lambda net, x: net.a(x) + x, a=conv()),
        seen(lambda net, x: torch.cat([net.a(x), x], 1), a=conv()),
        seen(lambda net, x: torch.cat([x, net.a(x)], 1), a=conv()),
        seen(lambda net, x: net.a(net.a(x)), a=conv()),
        seen(lambda net, x: net.a(net.b(x)), a=conv(), b=conv()),
        seen(lambda net, x: net.b(net.a(x)), a=conv(), b=nn.BatchNorm2d(3)),
        seen(lambda net, x: net.b(net.a(x)), a=conv(), b=nn.BatchNorm2d(3, eps=1e-3)),
        seen(lambda net, x: net.b(net.a(x)), a=conv(), b=nn.Dropout(0.1)),
        seen(lambda net, x: net.b(net.a(x)), a=conv(), b=nn.Dropout(0.2)),
        seen(lambda net, x: net.a(x.transpose(2, 3)), a=conv()),
        seen(lambda net, x: net.a(x) * 0.5, a=conv()),
        seen(lambda net, x: net.a(x)[:, :2], a=conv()),
        seen(lambda net, x: net.a(x)[:, 1:], a=conv()),
    ]
    assert len(set(found)) == len(found)


def test_layers_and_operations_that_were_executed_are_counted() -> None:
    counted = claim(lambda net, x: net.a(x) + x, a=nn.Sequential(conv(), nn.ReLU()), never=conv())
    assert (counted["layers"], counted["operations"]) == (2, 3)


class Own(torch.Tensor):
    """A tensor of the program's own kind."""


@pytest.mark.parametrize(
    "odd",
    [
        lambda net, x: net.a(x).as_subclass(Own),
        lambda net, x: torch.sparse.mm(torch.eye(8).to_sparse(), x[0, 0]),
        lambda net, x: [x := x + 1 for _ in range(NODES + 10)][-1],
        lambda net, x: 5,
    ],
)
def test_what_no_graph_can_say_gives_no_fingerprint_and_no_error(odd: Forward) -> None:
    assert claim(odd, a=conv()) == {}


def busy(net: Any, images: torch.Tensor) -> torch.Tensor:
    net.calls += 1
    hidden = functional.dropout(net.b(net.a(images)), 0.5, training=True)  # draws from the generator every time
    hidden = hidden + torch.randn_like(hidden) * 0.1
    return net.c(net.d(hidden))  # type: ignore[no-any-return]


def trained(*, watched: bool) -> dict[str, Any]:
    torch.manual_seed(5)
    net = Net(
        busy,
        a=conv(6),
        b=nn.BatchNorm2d(6),
        c=nn.Sequential(nn.Flatten(), nn.Linear(384, 10)),
        d=nn.Dropout(0.3),
    )
    net.calls = 0
    images = torch.randn(SHAPE)
    net.eval()
    with torch.no_grad():
        if watched:
            with Fingerprint(images) as fingerprint:
                logits = net(images)
            assert fingerprint.claim(logits)
        else:
            logits = net(images)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not any(part.training for part in net.modules())
    between = torch.get_rng_state()
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        functional.cross_entropy(net(torch.randn(SHAPE)), torch.tensor([0, 1, 2, 3])).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    states = {"between": between, "after": torch.get_rng_state()}
    return state | states | {"logits": logits, "calls": torch.tensor(net.calls)}


def test_training_and_predictions_are_bit_for_bit_what_they_are_unwatched() -> None:
    plain, watched = trained(watched=False), trained(watched=True)
    assert plain.keys() == watched.keys()
    assert all(torch.equal(plain[name], watched[name]) for name in plain)


def test_attention_takes_the_path_that_it_takes_unwatched() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    images = torch.randn(4, 6, 8)
    with torch.no_grad():
        plain = layer(images)
        with Fingerprint(images) as fingerprint:
            watched = layer(images)
    assert torch.equal(plain, watched)
    assert fingerprint.claim(watched)["operations"] == 1  # the fast path is one operation


def at_rest() -> bool:
    hooks = modules._global_forward_pre_hooks
    return _get_current_dispatch_mode() is None and not hooks


def test_an_exception_goes_through_and_nothing_stays_behind() -> None:
    def fails(net: Any, images: torch.Tensor) -> torch.Tensor:
        raise ValueError("of the program")

    with pytest.raises(ValueError, match="of the program"):
        claim(fails)
    assert at_rest()


class Passing(TorchDispatchMode):
    """A mode of the program's own."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def test_a_watch_that_a_program_buried_under_its_own_does_nothing_any_more() -> None:
    own = Passing()

    def buries(net: Any, images: torch.Tensor) -> torch.Tensor:
        own.__enter__()
        return images + 1

    claim(buries)
    own.__exit__(None, None, None)
    buried: Any = _get_current_dispatch_mode()
    assert torch.equal(torch.ones(2) + 1, torch.full((2,), 2.0))
    buried.__exit__(None, None, None)
    assert at_rest()


def test_nothing_that_a_forward_pass_makes_is_kept_alive() -> None:
    made: list[StorageWeakRef] = []
    alive: list[int] = []

    def long(net: Any, images: torch.Tensor) -> torch.Tensor:
        hidden = images
        for _ in range(20):
            hidden = hidden + 1
            made.append(StorageWeakRef(hidden.untyped_storage()))
            alive.append(sum(not one.expired() for one in made))
        return hidden

    assert claim(long)
    assert alive == [1] * 20
