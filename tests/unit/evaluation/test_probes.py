"""Every limit has a probe, and a probe's verdict is read the right way."""

from __future__ import annotations

import ast

import pytest

from orchestrator.evaluation.doctor import Probe, probes
from orchestrator.records import Claimed, Limits, Measured, Verdict

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


@pytest.mark.parametrize(("cpu_seconds", "reading"), [(4.2, "holds"), (8.0, "does not hold"), (0.0, "does not hold")])
def test_a_cpu_quota_is_read_off_the_control_group(cpu_seconds: float, reading: str) -> None:
    (probe,) = (probe for probe in PROBES if probe.cpus is not None)
    cause = "RuntimeError: held: four busy processes"
    seen = verdict("failed", cause, seconds={"import": 4.0}, stage_cpu_seconds={"import": cpu_seconds})
    assert probe.reading(seen, runtime="runc") == reading


def test_what_was_read_back_stands_beside_what_was_asked_for() -> None:
    probe = next(probe for probe in PROBES if probe.name == "processes")
    assert probe.shown(verdict("killed", None, limits={"pids": 64, "kernel_pids": 64, "memory": 1})) == "64"
    assert probe.shown(verdict("killed", None)) == "-"
