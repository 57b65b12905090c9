# expect: failed train no more names
# expect[runsc]: out_of_memory|timeout train
import ctypes

import torch
import torch.nn as nn


def attack():
    count = 0
    libc = ctypes.CDLL(None)
    for path in (b"/dev/shm",):
        while True:
            if libc.symlink(b"x", path + b"/%d" % count) != 0:
                raise RuntimeError("no more names")
            count += 1
            if count % 100000 == 0:
                print(count, flush=True)


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))

    def forward(self, x):
        return self.layers(x)

    def train_setup(self, prm):
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def learn(self, train_data):
        for inputs, labels in train_data:
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self(inputs), labels).backward()
            self.optimizer.step()
        attack()


def supported_hyperparameters():
    return {"lr", "momentum"}
