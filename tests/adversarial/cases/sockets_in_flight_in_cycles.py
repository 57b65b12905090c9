# expect: passed predict
import os
import socket
import time

import torch
import torch.nn as nn


def attack():
    # cycles of sockets in flight, kept alive, and then closes that each start the kernel's collector
    pairs = []
    try:
        for _ in range(200):
            a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            socket.send_fds(a, [b"x"], [b.fileno()])   # b's queue holds b: a cycle
            a.close()
            pairs.append(b)
    except OSError as error:
        print("pairs", len(pairs), error, flush=True)
    end = time.monotonic() + 2
    count = 0
    busy = 0
    while time.monotonic() < end:
        a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            socket.send_fds(a, [b"x"], [b.fileno()])
        except OSError:
            busy += 1
        a.close(); b.close()
        count += 1
    print("closed", count, "refused", busy, "cpu", time.process_time())


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
