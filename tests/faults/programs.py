"""What the stand-in for the language model writes: a few fixed, real programs, the same for the same place in a run."""

from __future__ import annotations

import random

CHUNK = 2  # completions of one chunk
LAYERS = 6
HONEST = """import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.flatten = nn.Flatten()
{layers}
        self.head = nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0])
        print("\\x1b[31mred \\u202e\\x07", flush=True)

    def forward(self, x):
        return {forward}

    def train_setup(self, prm):
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def learn(self, train_data):
        for inputs, labels in train_data:
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self(inputs), labels).backward()
            self.optimizer.step()


def supported_hyperparameters():
    return {{"lr", "momentum"}}
"""


def text(cycle: int, index: int) -> str:
    """Return completion `index` of `cycle`: honest ones, one without code, failing and unparsable ones, a duplicate."""
    match (cycle % 2, index % 4):
        case (1, 0) | (0, 3):
            return _fenced(_honest(cycle, index))
        case (1, 2):
            return _fenced(_honest(cycle, index, forward="self.head(x)"))
        case (0, 0):
            return _fenced("# written with more care\n" + _honest(cycle - 1, index))
        case (1, 1) | (0, 2):
            return "I would rather talk about the weather."
        case _:
            return _fenced("class Net(nn.Module:\n    pass\n")


def _honest(cycle: int, index: int, *, forward: str = "self.head(self.flatten(x))") -> str:
    """Return a program that trains: its unused layers make it unlike those of other places."""
    drawn = random.Random(f"{cycle} {index}")  # noqa: S311 - it must repeat
    sizes = [(drawn.randrange(2, 60), drawn.randrange(2, 60)) for _ in range(LAYERS)]
    lines = [f"        self.unused_{number} = nn.Linear({a}, {b})" for number, (a, b) in enumerate(sizes)]
    return HONEST.format(layers="\n".join(lines), forward=forward)


def _fenced(program: str) -> str:
    return f"Here it is:\n```python\n{program}```\n"
