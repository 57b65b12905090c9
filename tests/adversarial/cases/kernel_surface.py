# expect: failed instantiate all refused
import ctypes

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))
        libc = ctypes.CDLL(None, use_errno=True)
        for name, arguments in {
            "io_uring_setup": (425, 8, 0),
            "bpf": (321, 0, 0, 0),
            "userfaultfd": (323, 0),
            "keyctl": (250, 0, 0, 0, 0, 0),
            "perf_event_open": (298, 0, 0, 0, 0, 0),
            "open_by_handle_at": (304, 0, 0, 0),
            "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
            "mknod": (133, b"/tmp/device", 0o60666, 0x0801),
        }.items():
            if libc.syscall(*arguments) != -1:
                raise RuntimeError("let through " + name)
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
