# expect: failed instantiate all refused
import ctypes
import os

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))
        library = ctypes.CDLL(None, use_errno=True)
        if library.prctl(15, b"Out of memory:", 0, 0, 0) == 0:
            raise RuntimeError("allowed: a name of its own")
        try:
            with open("/proc/self/loginuid", "w") as login:
                login.write("0")
            if open("/proc/self/loginuid").read().strip() == "0":
                raise RuntimeError("allowed: another user in the audit")
        except OSError:
            pass
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
