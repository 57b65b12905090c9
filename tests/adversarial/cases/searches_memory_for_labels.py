# expect: failed forward found nothing
import gc
import sys

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))

    def forward(self, x):
        for thing in gc.get_objects():
            name = type(thing).__name__.lower()
            if "label" in name or "answer" in name:
                raise RuntimeError("found " + name)
        for name, module in list(sys.modules.items()):
            for attribute in list(vars(module)) if hasattr(module, "__dict__") else ():
                if attribute in ("validation_labels", "y_true", "answers", "targets"):
                    raise RuntimeError("found " + name + "." + attribute)
        raise RuntimeError("found nothing")
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
