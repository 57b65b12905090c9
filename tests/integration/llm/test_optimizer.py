"""The paper's optimizer is taken only where it makes a step; elsewhere torch's AdamW takes its place, and says so."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from llm import optimizer
from orchestrator.records import SftSpec


class Paged(torch.optim.AdamW):
    """Stands for bitsandbytes' own, which has a library of CUDA behind it."""


class Hollow(torch.optim.AdamW):
    """One whose library is missing: it can be made and makes no step."""

    def step(self, closure: Any = None) -> None:
        raise RuntimeError("libbitsandbytes_cuda130.so: no such file")


@pytest.mark.parametrize(("made", "name"), [(Paged, "paged_adamw_8bit"), (Hollow, "adamw")])
def test_bitsandbytes_is_used_only_where_it_makes_a_step(
    made: type[torch.optim.Optimizer], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", SimpleNamespace(optim=SimpleNamespace(PagedAdamW8bit=made)))
    why = optimizer.useless_bitsandbytes(torch.device("cpu"))
    assert (why is None) == (name == "paged_adamw_8bit")
    assert why is None or "no such file" in why
    cuda = torch.device("cuda")
    built, said = optimizer.build(torch.nn.Linear(2, 2), SftSpec(), device=cuda, useless=lambda device: why)
    assert said == name
    assert isinstance(built, made) == (name == "paged_adamw_8bit")


def test_without_cuda_it_is_not_even_asked(capfd: pytest.CaptureFixture[str]) -> None:
    _, name = optimizer.build(torch.nn.Linear(2, 2), SftSpec(), device=torch.device("cpu"))
    assert name == "adamw"
    assert "it needs a CUDA device" in capfd.readouterr().err
