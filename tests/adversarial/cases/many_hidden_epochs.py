# expect: passed predict
import time

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))

    def forward(self, x):
        return self.layers(x)

    def train_setup(self, prm):
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def learn(self, train_data):
        batches = list(train_data)
        until = time.process_time() + 3  # seconds, in which an honest epoch could be trained dozens of times
        while time.process_time() < until:
            for inputs, labels in batches:
                self.optimizer.zero_grad()
                nn.functional.cross_entropy(self(inputs), labels).backward()
                self.optimizer.step()


def supported_hyperparameters():
    return {"lr", "momentum"}
