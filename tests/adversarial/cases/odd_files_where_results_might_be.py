# expect: passed predict
import os

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))
        for name in ("verdict.json", "predictions.npy", "stdout", "stderr", "-rf *", "a\nb", "\udcff", ".." + chr(0x202E), "x" * 255):
            try:
                os.mkfifo("/tmp/" + name)
            except OSError:
                pass
        for number, target in enumerate(("/etc/passwd", "/proc/1/mem", "/data/labels.npy", "/tmp", ".")):
            os.symlink(target, f"/tmp/link{number}")
        try:
            os.mknod("/tmp/device", 0o60666, os.makedev(8, 0))
            raise RuntimeError("a device of the host")
        except OSError:
            pass

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
