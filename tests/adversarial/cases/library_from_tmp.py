# expect: failed instantiate failed to map segment
# expect[runsc]: passed predict
import ctypes
import shutil
import glob

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))
        shutil.copy(sorted(glob.glob("/usr/lib/x86_64-linux-gnu/libz.so*") + glob.glob("/lib/x86_64-linux-gnu/libm.so*"))[0], "/tmp/mine.so")
        ctypes.CDLL("/tmp/mine.so")

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
