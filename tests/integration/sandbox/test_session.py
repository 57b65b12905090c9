"""A sandbox works over the session with the engine that it is lent, and over one of its own if it is lent none."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.sandbox import Engine, Sandbox
from orchestrator.sandbox.host import machine
from orchestrator.sections import SandboxConfig
from tests.support.relay import relaying

pytestmark = pytest.mark.docker


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty data set that containers may read."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    return folder


def test_all_that_is_done_over_a_lent_engine_opens_no_other_session(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with relaying(tmp_path, monkeypatch) as relay:
        with Engine() as engine:
            with Sandbox(SandboxConfig(), owner="a borrower", engine=engine) as borrower:
                borrower.prove(train=data)
                assert borrower.describe()["image"] == borrower.image.id
                assert borrower.components()["Engine"]
                assert machine(borrower.engine)
            assert engine.images.find(SandboxConfig().image) is not None  # it was left open
        assert relay.sessions == 1


def test_a_sandbox_of_its_own_opens_one_session(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with relaying(tmp_path, monkeypatch) as relay:
        with Sandbox(SandboxConfig(), owner="on its own") as sandbox:
            sandbox.prove(train=data)
        assert relay.sessions == 1


def test_data_that_a_program_could_not_read_is_named_before_any_runs(tmp_path: Path) -> None:
    labels = tmp_path / "labels.npy"
    labels.touch(mode=0o600)
    tmp_path.chmod(0o755)
    with Sandbox(SandboxConfig(), owner="one with a mask") as sandbox:
        with pytest.raises(InfrastructureError, match=rf"may not read /data/labels\.npy: .*mode 0600 .*{tmp_path}"):
            sandbox.prove(train=tmp_path)
        labels.chmod(0o644)
        sandbox.prove(train=tmp_path)
