"""A sandbox works over the session with the engine that it is lent, and over one of its own if it is lent none."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.sandbox import Engine, Sandbox
from orchestrator.sandbox.host import machine
from orchestrator.sections import SandboxConfig
from tests.support.relay import relaying

pytestmark = pytest.mark.docker


def test_all_that_is_done_over_a_lent_engine_opens_no_other_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with relaying(tmp_path, monkeypatch) as relay:
        with Engine() as engine:
            with Sandbox(SandboxConfig(), owner="a borrower", engine=engine) as borrower:
                borrower.prove(train=tmp_path)
                assert borrower.describe()["image"] == borrower.image.id
                assert borrower.components()["Engine"]
                assert machine(borrower.engine)
            assert engine.images.find(SandboxConfig().image) is not None  # it was left open
        assert relay.sessions == 1


def test_a_sandbox_of_its_own_opens_one_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with relaying(tmp_path, monkeypatch) as relay:
        with Sandbox(SandboxConfig(), owner="on its own") as sandbox:
            sandbox.prove(train=tmp_path)
        assert relay.sessions == 1
