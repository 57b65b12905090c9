"""The check before training: a dummy batch goes through a copy of the network that is thrown away.

The copy is a child process, so that nothing of the check is left in the network that is trained: no buffer, no mode, no
random number, no branch that was folded for evaluation. What the child says are claims, as all that comes from here.
"""

from __future__ import annotations

import copy
import os
import sys
import types
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from sandbox_image import wire
from sandbox_image.fingerprint import Fingerprint

DRAWN = 0.5  # what a hyperparameter is that a program names and the protocol has not: the middle of LEMUR's range
PASSED = 17  # the exit code of a copy that has passed: one that has failed ends as every candidate does


class StageError(Exception):
    """The candidate broke the contract in a way that raised nothing by itself."""


class Given(dict[str, Any]):
    """The hyperparameters of a program: those of the protocol, and for others that it names what LEMUR might draw."""

    def __init__(self, known: dict[str, Any], named: frozenset[str]) -> None:
        super().__init__(known)
        self._named = named

    def __missing__(self, key: str) -> Any:
        """Return the number of epochs, which LEMUR always gives, or DRAWN for a name that the program states."""
        if key == "epoch_max" and "epoch" in self:
            return self["epoch"]
        if key not in self._named:
            raise KeyError(key)
        sys.stderr.write(f"prm has no {key!r}, and gives {DRAWN}: the protocol does not say it\n")
        self[key] = DRAWN
        return DRAWN

    def copy(self) -> Given:
        """Return the same again."""
        return Given(self, self._named)


def given(job: dict[str, Any], module: types.ModuleType) -> Given:
    """Return what a program finds in `prm`."""
    try:
        named = frozenset(str(name) for name in module.supported_hyperparameters())
    except Exception:  # it is asked for out of courtesy: a program may have none
        named = frozenset()
    return Given(job["prm"], named)


def rehearse(net: torch.nn.Module, job: dict[str, Any], device: torch.device, channel: Any, prm: Given) -> None:
    """Let a dummy batch through a copy of `net`, and send what is claimed of it.

    The copy is made by fork. On a GPU, which no child could use, it is a deep one. Lazy layers get their shapes in
    `net` itself: without these its parameters are none yet.
    """
    dummy = torch.randn(*job["in_shape"], generator=torch.Generator().manual_seed(0)).to(device)
    if any(is_lazy(one) for one in (*net.parameters(), *net.buffers())):
        net.eval()
        with torch.no_grad():
            net(dummy)
        net.train()
    if device.type != "cpu":
        channel.send(_claim(_copied(net), dummy, job, prm))
        return
    child = os.fork()
    if child == 0:  # what fails in it is told from where it is called, as the failure of its stage
        torch.set_num_threads(1)  # those of the parent are not here, and OpenMP would wait for them
        channel.send(_claim(net, dummy, job, prm))
        os._exit(PASSED)
    try:
        _, status = os.waitpid(child, 0)
    except ChildProcessError:  # the program has its children reaped by the kernel: the host has heard how it went
        return
    if os.WIFSIGNALED(status):  # out of memory, say: this process ends as its copy did
        os.kill(os.getpid(), os.WTERMSIG(status))
    if os.waitstatus_to_exitcode(status) != PASSED:  # the child has said why
        os._exit(0)


def classes(logits: object, count: int, job: dict[str, Any]) -> torch.Tensor:
    """Return the class of each of `count` rows of logits; raise StageError if they are none."""
    if not isinstance(logits, torch.Tensor):
        raise StageError(f"forward gives {type(logits).__name__}, not a tensor of logits")
    expected = (count, int(job["classes"]))
    if tuple(logits.shape) != expected:
        raise StageError(f"forward gives shape {tuple(logits.shape)}, not {expected}")
    if not logits.is_floating_point():
        raise StageError(f"forward gives {logits.dtype}, not floating-point logits")
    if not torch.isfinite(logits).all():
        raise StageError("forward gives logits that are not finite")
    return logits.argmax(dim=1)


def _claim(net: torch.nn.Module, dummy: torch.Tensor, job: dict[str, Any], prm: Given) -> bytes:
    """Return the claim about a copy; a head that is made by `train_setup` is there at the second attempt."""
    try:
        seen = _forward(net, dummy, job)
    except Exception as error:
        program: Any = net
        try:
            program.train_setup(prm.copy())
            seen = _forward(net, dummy, job)
        except Exception:
            raise error from None
    return wire.encode_json(wire.CLAIM, seen)


def _forward(net: torch.nn.Module, dummy: torch.Tensor, job: dict[str, Any]) -> dict[str, Any]:
    """Return what is claimed of the network that a dummy batch went through."""
    parameters = sum(parameter.numel() for parameter in net.parameters())  # before it may fold some for evaluation
    fingerprint = Fingerprint(dummy)
    net.eval()
    with torch.no_grad():
        with fingerprint:
            logits = net(dummy)
        classes(logits, len(dummy), job)
    return {"parameters": parameters} | fingerprint.claim(logits)


def _copied(net: torch.nn.Module) -> torch.nn.Module:
    try:
        return copy.deepcopy(net)
    except Exception:  # not every network can be copied
        return net
