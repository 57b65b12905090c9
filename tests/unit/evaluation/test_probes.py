"""Every limit has a probe, and a probe's verdict is read the right way."""

from __future__ import annotations

import ast

import pytest

from orchestrator.evaluation.doctor import Probe, probes
from orchestrator.records import NOT_READ, Claimed, Limits, Measured, Verdict

HASH = "0" * 64
PROBES = probes(Limits(), import_seconds=5)


def verdict(state: str, cause: str | None, **measured: object) -> Verdict:
    return Verdict.model_validate(
        {
            "candidate_id": "x",
            "state": state,
            "stage": "import",
            "cause": cause,
            "accuracy": None,
            "predictions": None,
            "protocol": HASH,
            "environment": HASH,
            "claimed": Claimed(),
            "measured": Measured.model_validate(measured),
        }
    )


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_a_probe_is_a_program_that_says_what_it_trips(probe: Probe) -> None:
    ast.parse(probe.source)
    assert probe.asked
    assert "{" not in probe.asked


def test_names_are_unique() -> None:
    assert len({probe.name for probe in PROBES}) == len(PROBES)


def test_a_limit_holds_only_where_the_probe_was_stopped() -> None:
    probe = Probe(name="x", asked="y", source=b"", ends_as=("timeout",), unenforced_by="runsc")
    assert probe.reading(verdict("failed", "RuntimeError: held: EPERM"), runtime="runc") == "holds"
    assert probe.reading(verdict("timeout", None), runtime="runc") == "holds"
    assert probe.reading(verdict("failed", "RuntimeError: NOT HELD: open"), runtime="runc") == "does not hold"
    assert probe.reading(verdict("failed", "NameError: held"), runtime="runc") == "does not hold"
    assert probe.reading(verdict("failed", "RuntimeError: NOT HELD: open"), runtime="runsc") == "not enforced"


@pytest.mark.parametrize(
    ("cpu_seconds", "reading"), [(4.2, "holds"), (8.0, "does not hold"), (0.0, "not known"), (None, "not known")]
)
def test_a_cpu_quota_is_read_off_the_control_group(cpu_seconds: float | None, reading: str) -> None:
    (probe,) = (probe for probe in PROBES if probe.cpus is not None)
    cause = "RuntimeError: held: four busy processes"
    seen = verdict(
        "failed",
        cause,
        seconds={"import": 4.0},
        stage_cpu_seconds={} if cpu_seconds is None else {"import": cpu_seconds},
    )
    assert probe.reading(seen, runtime="runc") == reading


def test_what_was_read_back_stands_beside_what_was_asked_for() -> None:
    probe = next(probe for probe in PROBES if probe.name == "processes")
    assert probe.shown(verdict("killed", None, limits={"pids": 64, "kernel_pids": 64, "memory": 1})) == "64"
    assert probe.shown(verdict("killed", None)) == "-"


def test_a_limit_that_the_kernel_does_not_show_is_said_to_be_unread() -> None:
    probe = next(probe for probe in PROBES if probe.name == "processes")
    limits = {"pids": 64, NOT_READ: "process 7 of the container cannot be seen from here"}
    assert probe.shown(verdict("killed", None, limits=limits)) == f"64, not read: {limits[NOT_READ]}"
    user = next(probe for probe in PROBES if probe.name == "user")
    assert user.shown(verdict("failed", None, limits=limits)) == "-"


def test_a_slow_machine_is_no_broken_limit() -> None:
    probe = next(probe for probe in PROBES if probe.name == "setuid files")
    slow = verdict("timeout", "import took longer than 30 s")
    assert probe.reading(slow, runtime="runc") == "not known"
    assert "sandbox.deadlines.import" in probe.evidence(slow)


@pytest.mark.parametrize(("code", "reading"), [(1, "not known"), (3, "not known"), (137, "holds")])
def test_the_end_of_a_supervisor_is_no_limit_that_held(code: int, reading: str) -> None:
    probe = next(probe for probe in PROBES if probe.name == "processes")
    ended = verdict("killed", f"the container ended with exit code {code}", exit_code=code)
    assert probe.reading(ended, runtime="runc") == reading
    assert ("the supervisor ended by itself" in probe.evidence(ended)) is (reading == "not known")
