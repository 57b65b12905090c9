"""Programs as people write them train as they are written: the check before training leaves no trace in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from orchestrator.evaluation import SandboxEvaluator, Submission, prepare
from orchestrator.records import Evaluation
from tests.adversarial.suite import CACHE, config

pytestmark = pytest.mark.docker

HEAD = """\
import torch
import torch.nn as nn

"""
NET = """
class Net({base}):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(in_shape[1], 8, 4, stride=4), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(8 * 8 * 8, out_shape[0])
        {made}

    def forward(self, x):
        {watched}
        return self.head(self.body(x))
"""
TRAIN = """
    def train_setup(self, prm):
        {ready}
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def learn(self, train_data):
        {seen}
        for x, y in train_data:
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self(x), y).backward()
            self.optimizer.step()
"""
NAMES = "\n\ndef supported_hyperparameters():\n    return {'lr', 'momentum', 'gamma', 'epoch_max'}\n"


def program(*, base: str = "nn.Module", made: str = "pass", watched: str = "pass", ready: str = "pass",
            seen: str = "pass", before: str = "") -> str:  # fmt: skip
    text = NET.format(base=base, made=made, watched=watched) + TRAIN.format(ready=ready, seen=seen)
    return HEAD + before + text + NAMES


SCRIPTED = """
class Gate(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x)

"""
TRAINABLE = "class Trainable(nn.Module):" + TRAIN.format(ready="print('own setup')", seen="print('own learn')") + "\n"
PROGRAMS = {
    "names what the protocol does not give": program(ready="print(prm['gamma'], prm['epoch_max'], prm.get('x', 7))"),
    "trained by a base class": HEAD + TRAINABLE + NET.format(base="Trainable", made="pass", watched="pass") + NAMES,
    "page breaks before a script": program(
        before=f"\f\n# a\u2028b\x1cc\u0085d\n{SCRIPTED}\f\ngate = torch.jit.script(Gate())\n"
    ),
    "compiled whole": program(made="self.body = torch.compile(self.body, backend='eager', fullgraph=True)"),
    "compiled by a decorator": program(
        before="@torch.compile\ndef half(x):\n    return x / 2\n\n", watched="x = half(x)"
    ),
    "folds itself for evaluation": program(
        made="self.folded = False",
        watched="self.folded = self.folded or not self.training",
        seen="assert not self.folded",
    ),
    "watches for traces": program(
        made="self.calls = 0; self.register_buffer('n', torch.zeros(())); self.state = torch.get_rng_state()",
        watched="self.calls += 1; self.n += 1; torch.rand(3)",
        ready="assert self.calls == 0 and self.n == 0 and self.training and self.body[1].num_batches_tracked == 0",
        seen="assert torch.equal(self.state, torch.get_rng_state())",
    ),
    "has the kernel reap its children": program(
        before="import signal\n\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    ),
    "has a lazy head": program(made="self.head = nn.LazyLinear(out_shape[0])"),
    "makes its head when it is set up": program(
        made="del self.head; self.out = out_shape[0]", ready="self.head = nn.Linear(512, self.out)"
    ),
    "asks for a data set": program(seen="print(len(train_data.dataset), train_data.num_workers, len(train_data))"),
}
LOGGED = {
    "names what the protocol does not give": ("stdout", "0.5 1 7"),
    "trained by a base class": ("stdout", "own learn"),
    "compiled whole": ("stderr", "torch.compile does nothing here"),
    "asks for a data set": ("stdout", "512 0 8"),
}


@pytest.fixture(scope="module")
def evaluated() -> Iterator[Mapping[str, Evaluation]]:
    settings = config("runc").model_copy(update={"completion": True})
    prepared = prepare(settings.protocol, CACHE)
    with SandboxEvaluator(config=settings, prepared=prepared, key=b"k") as evaluator:
        submissions = [Submission(candidate_id=name, source=text.encode()) for name, text in PROGRAMS.items()]
        yield {one.verdict.candidate_id: one for one in evaluator.evaluate(submissions)}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_passes(evaluated: Mapping[str, Evaluation], name: str) -> None:
    verdict = evaluated[name].verdict
    assert verdict.state == "passed", verdict.cause
    assert verdict.claimed.fingerprint is not None
    assert verdict.claimed.parameters


@pytest.mark.parametrize("name", LOGGED)
def test_what_it_printed_shows_that_its_own_code_ran(evaluated: Mapping[str, Evaluation], name: str) -> None:
    stream, said = LOGGED[name]
    stored = getattr(evaluated[name].verdict.measured, stream)
    assert stored is not None
    assert said in evaluated[name].objects[stored].decode()


def test_what_was_said_once_is_said_once(evaluated: Mapping[str, Evaluation]) -> None:
    stored = evaluated["compiled whole"].verdict.measured.stderr
    assert stored is not None
    assert evaluated["compiled whole"].objects[stored].count(b"torch.compile") == 1
