"""One evaluation: what the host saw, what the container claimed, and the verdict on both."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from orchestrator.records.candidate import Candidate
from orchestrator.records.journal import Occurrence
from orchestrator.records.record import Count, Digest, Fraction, Line, Record, Seconds
from orchestrator.records.states import FailedState, Stage, VerdictState

NOT_READ = "kernel_not_read"  # among the limits that were read back: what the kernel does not show, or why


class Limits(Record):
    """Limits of one container; below the floors none gets ready, and 0 would be no limit."""

    memory: Annotated[int, Field(ge=256 << 20)] = 4 << 30
    """Memory in bytes; there is no swap beside it."""
    pids: Annotated[int, Field(ge=16)] = 256
    """Processes and threads; under gVisor at least 1,024."""
    cpus: Annotated[float, Field(ge=0.01)] = 1.0
    """CPUs, as a share of their time."""
    nofile: Annotated[int, Field(ge=64)] = 1024
    """Open files of one process."""
    tmp: Annotated[int, Field(ge=1 << 20)] = 256 << 20
    """Bytes in /tmp."""
    tmp_inodes: Annotated[int, Field(ge=16)] = 20_000
    """Files and folders in /tmp."""
    shm: Annotated[int, Field(ge=1 << 20)] = 256 << 20
    """Bytes in /dev/shm."""


class Seen(Record):
    """What the host sees of one container, and keeps."""

    stage_cpu_seconds: dict[str, Seconds] = Field(default_factory=dict)
    exit_code: int | None = None
    oom_killed: bool = False
    peak_memory: Count | None = None
    cpu_seconds: Seconds | None = None
    stdout: Digest | None = None
    stderr: Digest | None = None
    log_bytes: Count = 0
    truncated: bool = False
    limits: dict[str, int | float | str] = Field(default_factory=dict)


class Execution(Seen):
    """What the host saw of one container by itself: facts, which outrank every claim."""

    container_id: str
    ended_by: Literal["reply", "deadline", "flood", "wire", "death"]
    stage: Stage
    cause: str | None = None
    seconds: dict[str, Seconds]


class Measured(Seen):
    """What the host measured of one evaluation; the only part of a verdict that differs between equal runs."""

    container_id: str | None = None
    seconds: dict[str, Seconds] = Field(default_factory=dict)
    training_cost: Seconds | None = None
    flags: tuple[str, ...] = ()


class Death(Record):
    """The supervisor's claim about how the candidate's process ended; `ordered` if the supervisor ended it."""

    ordered: bool
    flood: bool
    broken: str | None
    signal: Count | None
    exit_code: Count | None
    log_bytes: Count


class StageFailure(Record):
    """The candidate process's claim about the exception that ended it."""

    stage: Stage
    kind: str
    text: str
    where: list[str]
    memory: bool
    gpu_memory: bool


class Claimed(Record):
    """The claims that are kept with a verdict, for people to read beside what was measured.

    `fingerprint` stands for what was executed in the forward pass, of so many layers and operations; programs that are
    functionally equal share it. Verdicts from before it was taken lack it, as do programs of which none can be taken.
    """

    failure: StageFailure | None = None
    parameters: Count | None = None
    fingerprint: Digest | None = None
    layers: Count | None = None
    operations: Count | None = None
    batches: Count | None = None
    samples: Count | None = None
    passes: Count | None = None


class Reply(Claimed):
    """What the container said: claims, which may cost the candidate but never earn it anything."""

    death: Death | None = None
    predictions: bytes | None = None


class Passed(Record):
    """A valid candidate: trained, N predictions in range."""

    accuracy: Fraction


class Failed(Record):
    """A candidate that got no accuracy, with where and why."""

    state: FailedState
    stage: Stage
    cause: str


class Verdict(Line):
    """The host's judgement of one candidate; `accuracy` is null unless the state is `passed`."""

    kind: Literal["verdict"] = "verdict"
    candidate_id: str
    state: VerdictState
    stage: Stage
    cause: str | None
    accuracy: Fraction | None
    predictions: Digest | None
    protocol: Digest
    environment: Digest
    claimed: Claimed
    measured: Measured


class Evaluation(Record):
    """What the evaluator gives back for one submission: the candidate as it was understood, and its verdict.

    `objects` holds the content of every object that the two name, by its digest, and `events` what a run journals of
    the evaluation, in order. So it is complete by itself: as JSON, with bytes in base 64, it may come from another
    machine and gives the same ledgers.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    candidate: Candidate
    verdict: Verdict
    objects: dict[Digest, bytes] = Field(default_factory=dict)
    events: tuple[Occurrence, ...] = ()
