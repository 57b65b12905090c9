# expect: failed instantiate all refused
import ctypes
import os
import socket
import struct

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))
        # their compiled code comes out of one limit for the whole machine; without it no other container starts
        program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
        filter = struct.pack("HxxxxxxQ", 1, ctypes.addressof(program))
        library = ctypes.CDLL(None, use_errno=True)
        left, right = socket.socketpair()
        for option in (26, 50, 51, 52):
            try:
                left.setsockopt(socket.SOL_SOCKET, option, filter)
            except OSError:
                continue
            raise RuntimeError(f"allowed: socket option {option}")
        here = ctypes.create_string_buffer(filter)
        library.prctl.argtypes = [ctypes.c_ulong] * 5
        library.syscall.argtypes = [ctypes.c_long] * 6
        library.prctl(38, 1, 0, 0, 0)
        for number in (22, 22 + (1 << 32)):
            if library.prctl(number, 2, ctypes.addressof(here), 0, 0) == 0 or ctypes.get_errno() != 1:
                raise RuntimeError(f"allowed: prctl {number}, error {ctypes.get_errno()}")
        if library.syscall(317, 1, 0, ctypes.addressof(here), 0, 0) == 0:
            raise RuntimeError("allowed: seccomp")
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
