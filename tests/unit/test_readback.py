"""A limit that the engine or the kernel did not apply is our failure, and is named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import docker
import pytest

from orchestrator.cgroup import ControlGroup
from orchestrator.errors import InfrastructureError
from orchestrator.lockdown import Spec, creation
from orchestrator.readback import check_environment, effective_limits
from orchestrator.records import Limits

SPEC = Spec(
    image="i", mode="supervise", runtime="runc", limits=Limits(), life=60.0, seccomp="{}", owner="me", threads=1
)
KERNEL = {"memory": Limits().memory, "pids": Limits().pids, "cpu_period": 100_000, "cpu_quota": 100_000}


def as_asked() -> dict[str, Any]:
    """Return a HostConfig as an engine shows it that applied everything."""
    api = docker.APIClient(version="1.41")
    try:
        return creation(SimpleNamespace(api=api), SPEC, ControlGroup("x", "cgroupfs"))["host_config"]
    finally:
        api.close()


def test_what_was_asked_for_reads_back_and_is_kept() -> None:
    holds = effective_limits(SPEC, as_asked(), KERNEL)
    assert holds["pids"] == 256
    assert holds["kernel_memory"] == Limits().memory
    assert holds["runtime"] == "runc"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PidsLimit", None, "pids is None"),
        ("NetworkMode", "bridge", "network is bridge"),
        ("ReadonlyRootfs", False, "read_only is 0"),
        ("SecurityOpt", [], "seccomp is 0"),
        ("CapDrop", None, "capabilities_dropped"),
        ("Ulimits", None, "nofile is None"),
    ],
)
def test_a_flag_that_the_engine_did_not_take_is_named(name: str, value: Any, said: str) -> None:
    with pytest.raises(InfrastructureError, match=said):
        effective_limits(SPEC, as_asked() | {name: value}, KERNEL)


@pytest.mark.parametrize("name", ["memory", "pids", "cpu_quota"])
def test_a_limit_that_the_kernel_does_not_show_as_asked_is_named(name: str) -> None:
    with pytest.raises(InfrastructureError, match=f"the kernel's {name} is 1,"):
        effective_limits(SPEC, as_asked(), KERNEL | {name: 1})


def test_a_variable_that_nobody_asked_for_is_named_without_its_value() -> None:
    check_environment(["PATH=/usr/bin", "OMP_NUM_THREADS=1"])
    with pytest.raises(InfrastructureError, match="HTTP_PROXY") as raised:
        check_environment(["PATH=/usr/bin", "HTTP_PROXY=http://user:s3cret@proxy:3128"])
    assert "s3cret" not in str(raised.value)
