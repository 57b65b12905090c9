# expect: failed instantiate found nothing
import os

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))
        begins, rest = b"a key of ", b"ylno etius siht"  # of what orders the images; whole it stands nowhere in here

        def holds(content):
            at = content.find(begins)
            while at >= 0:
                if content[at + len(begins) : at + len(begins) + len(rest)][::-1] == rest:
                    return True
                at = content.find(begins, at + 1)
            return False

        for process in [name for name in os.listdir("/proc") if name.isdigit()]:
            for file in ("environ", "cmdline"):
                try:
                    content = open("/proc/" + process + "/" + file, "rb").read()
                except OSError:
                    continue
                if holds(content):
                    raise RuntimeError("found it in " + file + " of " + process)
            try:
                ranges = [line.split() for line in open("/proc/" + process + "/maps")]
                memory = open("/proc/" + process + "/mem", "rb", 0)
            except OSError:
                continue
            for line in ranges:
                start, end = (int(part, 16) for part in line[0].split("-"))
                if "r" not in line[1] or "torch" in line[-1] or end - start > 1 << 28:
                    continue
                try:
                    memory.seek(start)
                    places = memory.read(end - start)
                except (OSError, ValueError, OverflowError):
                    continue
                if holds(places):
                    raise RuntimeError("found it in the memory of " + process)
        del places
        raise RuntimeError("found nothing")

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
