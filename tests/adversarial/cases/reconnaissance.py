# expect: failed instantiate found nothing
import os
import socket

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0]))
        def read(path):
            try:
                return open(path, errors="replace").read()
            except OSError:
                return ""
        places = {line.rpartition(":")[2] for line in read("/proc/self/cgroup").splitlines()} - {"", "/"}
        if places:
            raise RuntimeError("a control group has a name: " + min(places))
        if socket.gethostname() != "sandbox":
            raise RuntimeError("the host has a name: " + socket.gethostname())
        servers = read("/etc/hosts") + read("/etc/resolv.conf")
        lines = [line for line in servers.splitlines() if "127.0.0.1" not in line]
        hosts = [line for line in lines if line.startswith("nameserver") or "ExtServers" in line]  # Docker 28 comments
        if hosts:
            raise RuntimeError("a server of names: " + hosts[0])
        users = [line for line in read("/etc/passwd").splitlines() if "/home/" in line]
        if users:
            raise RuntimeError("a user of the host: " + users[0])
        for path in ("/var/run/docker.sock", "/run/containerd", "/root/.ssh", "/root/.docker", "/home", "/mnt", "/srv", "/boot"):
            try:
                if os.path.exists(path) and (not os.path.isdir(path) or os.listdir(path)):
                    raise RuntimeError("something lies in " + path)
            except PermissionError:
                pass
        masked = ("cmdline", "config.gz", "diskstats", "interrupts", "modules", "sys/kernel/random/boot_id", "fs/ext4")
        told = [path for path in masked if read("/proc/" + path)]
        if told and told != ["cmdline"] or "root=" in read("/proc/cmdline"):
            raise RuntimeError("the host's own " + ", ".join(told))
        arguments = read("/proc/1/cmdline").replace("\0", " ")
        if not arguments.startswith("python3 -P -s -B -m sandbox_image supervise"):
            raise RuntimeError("process 1 is " + arguments)
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
