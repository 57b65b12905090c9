"""An interrupt ends the command at once and leaves no container behind."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import docker
import pytest

from orchestrator.sandbox.lease import PROCESS
from tests.support.checkout import CHECKOUT

pytestmark = pytest.mark.docker

NEVER_ENDS = """
import torch.nn as nn
def supported_hyperparameters(): return {"lr", "momentum"}
class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layer = nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0])
    def forward(self, x): return self.layer(x.flatten(1))
    def train_setup(self, prm): pass
    def learn(self, train_data):
        while True: pass
"""


def owned(client: docker.DockerClient, pid: int) -> list[str]:
    """The containers of process `pid`."""
    containers = client.api.containers(all=True)
    return [one["Id"] for one in containers if one["Labels"].get(PROCESS, "").startswith(f"{pid}:")]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_evaluation_ends_at_once_and_leaves_no_container(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    program = tmp_path / "never_ends.py"
    program.write_text(NEVER_ENDS)
    # a runner that ignores SIGINT (a background job of a shell) would hand that down
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heed}\nfrom orchestrator.cli import main\nmain()"
    command = [sys.executable, "-c", code, "evaluate", str(program)]
    with (
        contextlib.closing(docker.from_env()) as client,
        subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running,
    ):
        until = time.monotonic() + 120
        while len(owned(client, running.pid)) < 4:  # two waiting, the parser, and the one that was claimed
            assert time.monotonic() < until, "the evaluation did not begin"
            assert running.poll() is None, running.communicate()
        running.send_signal(number)
        running.communicate(timeout=30)  # the train deadline is 120 s
        assert running.returncode == status
        assert owned(client, running.pid) == []
