# expect: failed train no terminal
import os
import time

import torch
import torch.nn as nn


def attack():
    try:
        masters = [os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK) for _ in range(16)]
    except OSError as error:
        raise RuntimeError(f"no terminal: {error}")
    data = b"\x01\t" * 4096
    end = time.monotonic() + 1
    written = 0
    while time.monotonic() < end:
        for master in masters:
            try:
                written += os.write(master, data)
            except BlockingIOError:
                pass
            try:
                os.read(master, 65536)
            except BlockingIOError:
                pass
    print("written", written, "cpu", time.process_time())


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
