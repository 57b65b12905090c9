# expect: out_of_memory train
import os

import torch
import torch.nn as nn


def attack():
    code = """
import os, ctypes
fds=[]
chunk=b'x'*(1<<20)
fd=os.memfd_create('m',0)
n=0
while True:
    os.write(fd,chunk); n+=1
    if n%100==0: os.write(1,b'%d ' % n)
"""
    os.execv("/proc/self/exe", ["python3", "-S", "-I", "-c", code])


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
        attack()


def supported_hyperparameters():
    return {"lr", "momentum"}
