"""The parts that completion appends train a network that brings none of its own."""

from __future__ import annotations

import pytest
import torch

from sandbox_image.parser import inspect

CORE = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))

    def forward(self, x):
        return self.body(x)
"""


@pytest.mark.parametrize("text", [CORE, CORE.replace("    ", "\t"), CORE.replace("from torch import nn\n", "")])
def test_a_completed_network_learns(text: str) -> None:
    found = inspect(text.encode(), complete=True, strip=False)
    assert found.state == "ok"
    space: dict[str, type[torch.nn.Module]] = {}
    exec(compile(found.program.decode(), "program", "exec"), space)  # noqa: S102 - our own text
    torch.manual_seed(0)
    net = space["Net"]((8, 3, 4, 4), (2,), {"lr": 0.1, "momentum": 0.9}, torch.device("cpu"))
    labels = torch.tensor([0, 1] * 4)
    inputs = torch.randn(8, 3, 4, 4) * 0.1 + labels[:, None, None, None]
    net.train_setup({"lr": 0.1, "momentum": 0.9})
    net.learn([(inputs, labels)] * 50)
    assert (net(inputs).argmax(1) == labels).all()
