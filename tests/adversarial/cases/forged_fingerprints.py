# expect: passed predict
import json
import os
import struct

import torch
import torch.nn as nn

for fingerprint in ("x" * 500, None, 7, ["ab" * 32], {"ab": 1}, "AB" * 32, "ab" * 32, "cd" * 32):
    payload = json.dumps({"fingerprint": fingerprint}).encode()
    os.write(3, struct.pack(">cI", b"C", len(payload)) + payload)


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
