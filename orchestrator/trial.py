"""One candidate's course through one container, against the host's clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from orchestrator.config import Deadlines
from orchestrator.errors import InfrastructureError
from orchestrator.records import Death, Execution, Reply, Stage, StageFailure
from orchestrator.sandbox import Arrival, Container, End
from sandbox_image import wire

RUN_STAGES: tuple[Stage, ...] = ("import", "instantiate", "forward", "train", "predict")
STREAMS = {wire.STDOUT: "stdout", wire.STDERR: "stderr"}
SIGKILL_EXIT = 137
GRACE = 10  # seconds in which a container that closed its wire may end by itself


class BrokenWireError(Exception):
    """The container broke the wire's rules; the message says how."""


@dataclass(frozen=True)
class Work:
    """What one trial sends: the job, the program, and the validation images in the order of this candidate."""

    job: dict[str, Any]
    source: bytes
    images: bytes


@dataclass
class Trial:
    """Runs `work` in `container`, which is closed afterwards in every case."""

    container: Container
    work: Work
    deadlines: Deadlines
    log_stored: int
    _stage: Stage = "import"
    _began: float = 0.0
    _seconds: dict[str, float] = field(default_factory=dict)
    _cpu: dict[str, float] = field(default_factory=dict)
    _cpu_before: float = 0.0
    _claims: dict[str, int] = field(default_factory=dict)
    _streams: dict[bytes, bytearray] = field(default_factory=lambda: {kind: bytearray() for kind in STREAMS})
    _failure: StageFailure | None = None
    _predictions: bytes | None = None
    _death: Death | None = None

    def run(self) -> tuple[Execution, Reply, dict[str, bytes]]:
        """Return the facts, the claims, and the captured output by stream name.

        Raises:
            InfrastructureError: the container was ended by somebody else, or the engine failed.
        """
        end = None
        try:
            ended_by, cause = self._converse()
            silent = ended_by == "death" and self._death is None
            ordered_elsewhere = silent and self.container.ended_elsewhere()
            end = self.container.close(grace=GRACE if silent else 0)
            self._blame(end, silent=silent, ordered_elsewhere=ordered_elsewhere)
        finally:
            if end is None:
                self.container.close()
        return self._execution(end, ended_by, cause), self._reply(), self._output()

    def _converse(self) -> tuple[Any, str | None]:
        self._began = begun = time.monotonic()
        self._cpu_before = self.container.group.usage().cpu_seconds or 0.0
        job = wire.encode_json(wire.JOB, self.work.job) + wire.encode(wire.SOURCE, self.work.source)
        self.container.send(job, timeout=self.deadlines.import_)
        while True:
            limit = min(self._began + self._allowed(), self.container.expires)
            arrival = self.container.receive(deadline=limit)
            if arrival is None:
                self._mark(time.monotonic())
                return "deadline", f"{self._stage} took longer than {self._allowed():g} s"
            if "claim" not in self._seconds:
                self._seconds["claim"] = arrival.at - begun
            if arrival.frame is None:
                self._mark(arrival.at)
                return ("wire", arrival.broken) if arrival.broken else ("death", None)
            try:
                self._take(arrival, arrival.frame)
            except (BrokenWireError, wire.WireError, ValidationError) as error:
                self._mark(arrival.at)
                return "wire", str(error)
            if self._death is not None:
                self._mark(arrival.at)
                return self._how_it_ended(), None

    def _allowed(self) -> float:
        seconds: float = getattr(self.deadlines, "import_" if self._stage == "import" else self._stage)
        return seconds

    def _mark(self, now: float) -> None:
        self._seconds[self._stage] = max(0.0, now - self._began)
        self._began = now
        used = self.container.group.usage().cpu_seconds
        if used is not None:
            self._cpu[self._stage] = max(0.0, used - self._cpu_before)
            self._cpu_before = used

    def _how_it_ended(self) -> str:
        if self._death is not None and self._death.flood:
            return "flood"
        return "reply" if self._failure is not None or self._predictions is not None else "death"

    def _take(self, arrival: Arrival, frame: wire.Frame) -> None:
        if frame.kind == wire.STAGE:
            self._enter(frame.json().get("stage"), arrival.at)
        elif frame.kind in self._streams:
            kept = self._streams[frame.kind]
            kept += frame.payload[: max(0, self.log_stored - len(kept))]
        elif frame.kind == wire.CLAIM:
            for name, value in frame.json().items():
                if name not in ("parameters", "batches", "samples", "passes") or type(value) is not int or value < 0:
                    raise BrokenWireError(f"claim {name[:20]!r} is not known or not a count")
                self._claims[name] = value
        elif frame.kind == wire.ERROR:
            self._failure = StageFailure.model_validate(frame.json())
        elif frame.kind == wire.PREDICTIONS:
            if self._stage != "predict":
                raise BrokenWireError(f"predictions during {self._stage}")
            self._predictions = frame.payload
        elif frame.kind == wire.DEATH:
            self._death = Death.model_validate(frame.json())
        else:
            raise BrokenWireError(f"frame {frame.kind!r} has no place in a trial")

    def _enter(self, name: object, now: float) -> None:
        if name == "import" and self._stage == "import" and "import" not in self._seconds:
            return
        following = RUN_STAGES[RUN_STAGES.index(self._stage) + 1 :][:1]
        if name not in following:
            raise BrokenWireError(f"an unexpected stage after {self._stage}")
        self._mark(now)
        self._stage = following[0]
        if self._stage == "predict":
            self.container.send_aside(wire.encode(wire.IMAGES, self.work.images), timeout=self.deadlines.predict)

    def _blame(self, end: End, *, silent: bool, ordered_elsewhere: bool) -> None:
        """Raise where the container's end was not the candidate's doing.

        Under runc no process inside can kill process 1, so its SIGKILL without an out-of-memory kill came from
        outside. Under gVisor the whole sandbox dies of what a candidate does, so silence there is the candidate's.
        """
        if not silent:
            return
        unexplained = self.container.spec.runtime == "runc" and end.exit_code == SIGKILL_EXIT and not end.oom_killed
        if ordered_elsewhere or unexplained:
            name = self.container.id[:12]
            raise InfrastructureError(f"container {name} was killed from outside during {self._stage}")

    def _execution(self, end: End, ended_by: Any, cause: str | None) -> Execution:
        log_bytes = self._death.log_bytes if self._death else sum(len(kept) for kept in self._streams.values())
        return Execution(
            container_id=self.container.id,
            ended_by=ended_by,
            stage=self._stage,
            cause=cause,
            exit_code=end.exit_code,
            oom_killed=end.oom_killed,
            seconds={name: round(value, 4) for name, value in self._seconds.items()},
            stage_cpu_seconds={name: round(value, 4) for name, value in self._cpu.items()},
            peak_memory=end.usage.peak_memory,
            cpu_seconds=end.usage.cpu_seconds,
            log_bytes=log_bytes,
            truncated=log_bytes > sum(len(kept) for kept in self._streams.values()),
            limits=self.container.limits,
        )

    def _reply(self) -> Reply:
        return Reply(failure=self._failure, death=self._death, predictions=self._predictions, **self._claims)

    def _output(self) -> dict[str, bytes]:
        return {STREAMS[kind]: bytes(kept) for kind, kept in self._streams.items() if kept}
