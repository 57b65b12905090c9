# expect: killed predict
import os
import time

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))
        self.gate = None

    def forward(self, x):
        if self.gate:
            os.write(self.gate[1], b"now")  # the images are here: the other process says that it predicts, too
            time.sleep(60)
        return self.layers(x)

    def train_setup(self, prm):
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def learn(self, train_data):
        for inputs, labels in train_data:
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self(inputs), labels).backward()
            self.optimizer.step()
        gate = os.pipe()
        if os.fork():
            self.gate = gate
        else:
            os.read(gate[0], 3)


def supported_hyperparameters():
    return {"lr", "momentum"}
