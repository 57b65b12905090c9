# expect: failed instantiate nobody answers
import pathlib
import socket

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))
        table = pathlib.Path("/proc/net/unix")
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        for name in {line.split()[-1] for line in lines if "@" in line or "/" in line}:
            with socket.socket(socket.AF_UNIX) as client:
                try:
                    client.connect("\0" + name[1:] if name.startswith("@") else name)
                except OSError:
                    continue
                return
        raise RuntimeError("nobody answers")

    def forward(self, x):
        return self.layers(x)

    def train_setup(self, prm):
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def learn(self, train_data):
        for inputs, labels in train_data:
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self(inputs), labels).backward()
            self.optimizer.step()


def supported_hyperparameters():
    return {"lr", "momentum"}
