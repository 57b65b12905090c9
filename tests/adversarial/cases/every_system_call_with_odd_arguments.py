# expect: passed predict
import ctypes
import os
import signal

import torch
import torch.nn as nn


LEAVES_OR_WAITS = {0, 1, 3, 7, 9, 10, 11, 12, 13, 14, 15, 22, 23, 25, 33, 34, 35, 43, 45, 47, 56, 57, 58, 59, 60, 61, 62}
LEAVES_OR_WAITS |= {112, 127, 128, 129, 130, 200, 202, 220, 230, 231, 232, 234, 240, 247, 270, 271, 281, 288, 292, 293}
LEAVES_OR_WAITS |= {297, 299, 322, 436, 449}
LIBC = ctypes.CDLL(None)
NUMBERS = [number for number in range(460) if number not in LEAVES_OR_WAITS]
for start in range(0, len(NUMBERS), 16):
    if os.fork() == 0:
        signal.alarm(1)
        for number in NUMBERS[start : start + 16]:
            for odd in ((-1, -1, -1, -1, -1, -1), (1 << 62, 1 << 62, 1 << 31, 1 << 62, 1, 1)):
                LIBC.syscall(number, *map(ctypes.c_long, odd))
        os._exit(0)
    os.wait()


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


def supported_hyperparameters():
    return {"lr", "momentum"}
