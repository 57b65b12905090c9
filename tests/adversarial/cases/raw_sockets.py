# expect: failed instantiate all refused
import socket

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))
        kinds = [(socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_INET6, socket.SOCK_RAW, 58), (socket.AF_INET, socket.SOCK_RAW, 255)]
        kinds += [(socket.AF_INET, socket.SOCK_DGRAM, 1), (socket.AF_PACKET, socket.SOCK_RAW, 768)]
        for family, kind, protocol in kinds:
            try:
                socket.socket(family, kind, protocol)
            except OSError:
                continue
            raise RuntimeError(f"a socket of family {family}, type {kind}, protocol {protocol}")
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
