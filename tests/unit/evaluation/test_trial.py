"""A trial blames the candidate for nothing that happened before any of its code could run."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.evaluation.trial import Trial, Work
from orchestrator.sandbox.connection import Arrival, Connection
from orchestrator.sandbox.container import Container
from orchestrator.sections import Deadlines
from sandbox_image import wire

IMPORTED = wire.encode_json(wire.STAGE, {"stage": "import"})
PRINTED = wire.encode(wire.STDERR, b"RuntimeError: CUDA error: device not ready\n")
DEATH = {"ordered": False, "flood": False, "broken": None, "signal": None, "exit_code": 1, "log_bytes": 0}
DIED = wire.encode_json(wire.DEATH, DEATH)
FAILURE = {
    "stage": "import",
    "kind": "RuntimeError",
    "text": "no seed",
    "where": [],
    "memory": False,
    "gpu_memory": False,
}
FAILED = wire.encode_json(wire.ERROR, FAILURE)
SHORT = Deadlines.model_validate({"import": 0.05})


class Scripted:
    """A container, and its connection, that says what it was told to, then nothing."""

    id = "0123456789abcdef"
    limits: dict[str, Any] = {}  # noqa: RUF012 - as `Container` has it
    group = SimpleNamespace(usage=lambda: SimpleNamespace(cpu_seconds=0.0, peak_memory=0))

    def __init__(self, said: Iterable[bytes]) -> None:
        frames = wire.Decoder(wire.FROM_SUPERVISOR).feed(b"".join(said))
        self.arrivals = [Arrival(at=time.monotonic(), frame=frame) for frame in frames]
        self.expires = time.monotonic() + 1000
        self.connection = cast("Connection", self)
        self.closed = False

    def send(self, data: bytes, *, timeout: float) -> bool:
        return True

    def receive(self, *, deadline: float) -> Arrival | None:
        return self.arrivals.pop(0) if self.arrivals else None

    def close(self) -> Any:
        self.closed = True
        return SimpleNamespace(exit_code=1, oom_killed=False, usage=self.group.usage())


def trial(*said: bytes) -> tuple[Trial, Scripted]:
    container = Scripted(said)
    work = Work(job={}, source=b"", images=lambda: b"")
    return Trial(cast("Container", container), work, deadlines=SHORT, log_stored=1000), container


def test_a_container_whose_life_is_over_before_its_candidates_time_is_a_failure_of_ours() -> None:
    running, container = trial(IMPORTED)
    running.deadlines = Deadlines()
    container.expires = time.monotonic() + 1.0
    with pytest.raises(InfrastructureError, match="container 0123456789ab came to the end of its life"):
        running.run()
    assert container.closed


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ((), "it said nothing"),
        ((PRINTED, DIED), "CUDA error: device not ready"),
        ((FAILED, DIED), "RuntimeError: no seed"),
    ],
    ids=["mute", "dies", "fails"],
)
def test_a_container_that_never_gets_to_the_program_is_a_failure_of_ours(said: tuple[bytes, ...], why: str) -> None:
    running, container = trial(*said)
    with pytest.raises(InfrastructureError, match=f"took no program: .*{why}"):
        running.run()
    assert container.closed


def test_the_claim_is_no_part_of_the_first_stage() -> None:
    running, container = trial(IMPORTED, DIED)
    first, last = container.arrivals
    container.arrivals = [first, replace(last, at=first.at + 0.02)]
    execution, _, _ = running.run()
    assert execution.seconds == {"claim": 0.0, "import": 0.02}  # the claim comes after what was said ahead of it


@pytest.mark.parametrize(("last", "ended_by"), [((DIED,), "death"), ((), "deadline")], ids=["dies", "hangs"])
def test_what_happens_after_the_first_mark_is_the_candidates(last: tuple[bytes, ...], ended_by: str) -> None:
    running, _ = trial(IMPORTED, *last)
    execution, _, _ = running.run()
    assert (execution.ended_by, execution.stage) == (ended_by, "import")
