# expect: failed instantiate all refused
import ctypes

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))
        libc = ctypes.CDLL(None, use_errno=True)
        for name, arguments in {
            "mount": (165, b"none", b"/tmp", b"tmpfs", 0, 0),
            "umount": (166, b"/tmp", 0),
            "pivot_root": (155, b"/", b"/"),
            "unshare": (272, 0x10000000),
            "setns": (308, 0, 0),
        }.items():
            if libc.syscall(*arguments) != -1:
                raise RuntimeError("let through " + name)
        raise RuntimeError("all refused")

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
