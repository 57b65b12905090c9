"""A kill that the memory limit does not explain came from outside, and is no program's failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.records import Limits
from orchestrator.sandbox import Engine
from orchestrator.sandbox.cgroup import ControlGroup
from orchestrator.sandbox.connection import Connection
from orchestrator.sandbox.container import SIGKILL_EXIT, Container
from orchestrator.sandbox.lockdown import Spec
from sandbox_image import wire
from tests.support.fake_engine import fake_engine

SPEC = Spec(
    image="i", mode="supervise", runtime="runc", limits=Limits(), life=60.0, seccomp="{}", owner="me", threads=1
)
KILLED = {
    "State": {"Running": False, "ExitCode": SIGKILL_EXIT, "OOMKilled": False},
    "Config": {"Env": []},
    "HostConfig": {},
}


def grouped(folder: Path, *, peak: int | None, kills: int) -> ControlGroup:
    """Make the control group of a container, whose peak memory an older kernel does not show."""
    own = folder / "nn-sandbox" / "a1x" / "c"
    own.mkdir(parents=True)
    (folder / "cgroup.controllers").write_text("memory\n")
    (own.parent / "memory.events").write_text(f"oom_kill {kills}\n")
    if peak is not None:
        (own.parent / "memory.peak").write_text(f"{peak}\n")
    (folder / "7").mkdir()
    (folder / "7" / "cgroup").write_text("0::/nn-sandbox/a1x/c\n")
    return ControlGroup("a1x", "cgroupfs", root=folder).located(7, proc=folder)


@pytest.mark.parametrize("peak", [None, Limits().memory // 2], ids=["unknown", "half of the limit"])
def test_a_kill_without_a_full_memory_came_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peak: int | None
) -> None:
    with pytest.raises(InfrastructureError, match="was killed from outside"):
        close(tmp_path, monkeypatch, peak=peak, kills=0)


@pytest.mark.parametrize("peak", [None, Limits().memory], ids=["unknown", "the limit"])
def test_a_kill_that_the_kernel_counted_is_one_for_want_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peak: int | None
) -> None:
    assert close(tmp_path, monkeypatch, peak=peak, kills=1)


def close(folder: Path, monkeypatch: pytest.MonkeyPatch, *, peak: int | None, kills: int) -> bool:
    """Close a container that was killed, and return whether it ran out of memory."""
    with fake_engine(folder, monkeypatch) as fake, Engine() as engine:
        fake.answers |= {"GET /containers/c/json": (200, KILLED), "GET /events": (200, None)}
        connection = Connection(decoder=wire.Decoder(wire.FROM_SUPERVISOR), name="c")
        group = grouped(folder / "cgroup", peak=peak, kills=kills)
        container = Container(engine=engine, spec=SPEC, id="c", group=group, connection=connection)
        return container.close_silent().oom_killed
