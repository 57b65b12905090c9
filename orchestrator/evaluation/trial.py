"""One candidate's course through one container, against the host's clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from orchestrator.errors import InfrastructureError, UnkillableError
from orchestrator.escape import CAUSE_LIMIT
from orchestrator.evaluation.transcript import BrokenWireError, Testimony
from orchestrator.records import Execution, Reply
from orchestrator.sandbox.container import Container, End
from orchestrator.sections import Deadlines
from sandbox_image import wire

Mark = Callable[[str, float], None]


def unmarked(stage: str, seconds: float) -> None:
    """Take a stage that was entered, and tell nobody."""


@dataclass(frozen=True)
class Work:
    """What one trial sends: the job, the program, and, once it has trained, the validation images in its own order."""

    job: dict[str, Any]
    source: bytes
    images: Callable[[], bytes]


@dataclass
class Trial:
    """Runs `work` in `container`, which is closed afterwards in every case.

    `mark` learns of every stage as it is entered, with the seconds since the claim on the host's clock.
    """

    container: Container
    work: Work
    deadlines: Deadlines
    log_stored: int
    mark: Mark = unmarked
    _claimed: float = 0.0
    _began: float = 0.0
    _heard: bool = False
    _seconds: dict[str, float] = field(default_factory=dict)
    _cpu: dict[str, float] = field(default_factory=dict)
    _cpu_before: float = 0.0

    def run(self) -> tuple[Execution, Reply, dict[str, bytes]]:
        """Return the facts, the claims, and the captured output by stream name.

        Raises:
            InfrastructureError: the container was ended by somebody else, or the engine failed, or the first mark did
                not come, which precedes all code of the candidate, or its life was shorter than the stages may take.
        """
        said = Testimony(stored=self.log_stored)
        try:
            ended_by, cause = self._converse(said)
            silent = ended_by == "death" and said.death is None
            if not said.imported and ended_by != "flood":
                raise InfrastructureError(f"container {self.container.id[:12]} took no program: {_why(said)}")
            end = self._closed(silent=silent)
        finally:
            self.container.close()
        return self._execution(said, end, ended_by, cause), said.reply(), said.output()

    def _closed(self, *, silent: bool) -> End:
        """Close the container; what was heard of the candidate stands, even if it cannot be ended."""
        if silent:
            return self.container.close_silent()
        try:
            return self.container.close()
        except UnkillableError:
            return self.container.remains()

    def _converse(self, said: Testimony) -> tuple[Any, str | None]:
        """Return how the conversation ended: by a reply, a deadline, a flood, a broken wire, or a death."""
        self._claimed = self._began = time.monotonic()
        self.mark("import", 0.0)
        self._cpu_before = self.container.group.usage().cpu_seconds or 0.0
        job = wire.encode_json(wire.JOB, self.work.job) + wire.encode(wire.SOURCE, self.work.source)
        self.container.connection.send(job, timeout=self.deadlines.import_)
        while True:
            allowed = self._allowed(said)
            limit = min(self._began + allowed, self.container.expires)
            arrival = self.container.connection.receive(deadline=limit)
            if arrival is None or arrival.at > limit:
                if limit < self._began + allowed:
                    raise InfrastructureError(f"container {self.container.id[:12]} came to the end of its life")
                self._mark(said.stage, time.monotonic())
                return "deadline", f"{said.stage} took longer than {allowed:g} s"
            if arrival.frame is None:
                self._mark(said.stage, arrival.at)
                return ("wire", arrival.broken) if arrival.broken else ("death", None)
            self._hear(arrival.at)
            stage = said.stage
            try:
                entered = said.take(arrival.frame)
            except (BrokenWireError, wire.WireError, ValidationError) as error:
                self._mark(said.stage, arrival.at)
                return "wire", str(error)[:CAUSE_LIMIT]
            if entered:
                self._enter(said, stage, arrival.at)
            if said.death is not None:
                self._mark(said.stage, arrival.at)
                return _how_it_ended(said), None

    def _allowed(self, said: Testimony) -> float:
        seconds: float = getattr(self.deadlines, "import_" if said.stage == "import" else said.stage)
        return seconds

    def _hear(self, now: float) -> None:
        """Take the time of the first frame, which ends the claim and begins the first stage."""
        if not self._heard:
            self._heard = True
            self._mark("claim", now)

    def _enter(self, said: Testimony, before: str, now: float) -> None:
        self._mark(before, now)
        self.mark(said.stage, max(0.0, now - self._claimed))
        if said.stage == "predict":
            images = wire.encode(wire.IMAGES, self.work.images())
            self.container.connection.send_aside(images, timeout=self.deadlines.predict)

    def _mark(self, stage: str, now: float) -> None:
        self._seconds[stage] = max(0.0, now - self._began)
        self._began = now
        used = self.container.group.usage().cpu_seconds
        if used is not None:
            self._cpu[stage] = max(0.0, used - self._cpu_before)
            self._cpu_before = used

    def _execution(self, said: Testimony, end: End, ended_by: Any, cause: str | None) -> Execution:
        return Execution(
            container_id=self.container.id,
            ended_by=ended_by,
            stage=said.stage,
            cause=cause,
            exit_code=end.exit_code,
            oom_killed=end.oom_killed,
            seconds={name: round(value, 4) for name, value in self._seconds.items()},
            stage_cpu_seconds={name: round(value, 4) for name, value in self._cpu.items()},
            peak_memory=end.usage.peak_memory,
            cpu_seconds=end.usage.cpu_seconds,
            log_bytes=said.log_bytes,
            truncated=said.truncated,
            limits=self.container.limits,
        )


def _why(said: Testimony) -> str:
    """Return what failed before the program, or the end of what was printed to stderr, if there is any."""
    if said.failure is not None:
        return f"{said.failure.kind}: {said.failure.text}"[:CAUSE_LIMIT]
    prose = said.output().get("stderr", b"").decode("utf-8", "replace").strip()
    return prose[-CAUSE_LIMIT:] or "it said nothing"


def _how_it_ended(said: Testimony) -> str:
    if said.death is not None and said.death.flood:
        return "flood"
    return "reply" if said.failure is not None or said.predictions is not None else "death"
