# expect: failed instantiate all refused
import fcntl
import os
import struct

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))
        # no limit counts what they take of the kernel's memory, and every close of the file walks the list of them
        file = os.open("/tmp/locked", os.O_CREAT | os.O_RDWR)
        lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)
        tried = {
            "fcntl": lambda: fcntl.lockf(file, fcntl.LOCK_EX, 1, 0),
            "an open file's": lambda: fcntl.fcntl(file, 37, lock),
            "with other high bits": lambda: fcntl.fcntl(file, 37 + (1 << 31) - (1 << 32), lock),
            "flock": lambda: fcntl.flock(file, fcntl.LOCK_EX),
            "a lease": lambda: fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK),
            "a watch": lambda: fcntl.fcntl(os.open("/tmp", os.O_RDONLY), fcntl.F_NOTIFY, fcntl.DN_ACCESS | fcntl.DN_MULTISHOT),
            "a larger pipe": lambda: fcntl.fcntl(os.pipe()[0], 1031, 1 << 20),
        }
        for name, attempt in tried.items():
            try:
                attempt()
            except OSError:
                continue
            raise RuntimeError("allowed: " + name)
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
