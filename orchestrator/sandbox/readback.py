"""The limits that a started container really has, as the engine and the kernel show them, against those asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import InfrastructureError
from orchestrator.records import Limits
from orchestrator.sandbox.lockdown import (
    MASKED,
    NOWHERE,
    OOM_SCORE,
    SEALED,
    VARIABLES,
    Spec,
    added_capabilities,
    shm_options,
    tmp_options,
)


def effective_limits(spec: Spec, host: Mapping[str, Any], kernel: Mapping[str, int]) -> dict[str, int | float | str]:
    """Return what holds, by name; `host` is the engine's HostConfig, `kernel` what the control group shows.

    Under gVisor both show the sentry from outside; what its guest may do is probed by `orchestrate doctor`.

    Raises:
        InfrastructureError: something differs from what was asked for; the message names each.
    """
    engine = _engine(spec, host)
    wrong = [f"{name} is {found}, not {asked}" for name, (found, asked) in engine.items() if found != asked]
    wrong += [
        f"the kernel's {name} is {kernel[name]}, not {asked}"
        for name, asked in _kernel(spec.limits, kernel).items()
        if kernel[name] != asked
    ]
    if wrong:
        raise InfrastructureError("the engine did not apply the limits: " + "; ".join(wrong))
    holds: dict[str, int | float | str] = {name: found for name, (found, _) in engine.items()}
    holds |= {f"kernel_{name}": value for name, value in kernel.items()}
    return holds


def check_environment(variables: Iterable[str]) -> None:
    """Raise InfrastructureError where a container was given a variable (`NAME=value`) beyond the few that are allowed.

    The message names the variables and not their values: they may be secrets.
    """
    names = {variable.partition("=")[0] for variable in variables}
    if stray := sorted(names - VARIABLES):
        raise InfrastructureError(f"the container was given variables that nobody asked for: {', '.join(stray)}")


def check_inside(said: Mapping[str, object], limits: Limits) -> None:
    """Raise InfrastructureError where a supervisor that is ready, and has run nobody's code, found another limit.

    The limit on open files belongs to a process, so no control group shows it.
    """
    if said["nofile"] != limits.nofile:
        raise InfrastructureError(f"a process inside may open {said['nofile']} files, not {limits.nofile}")


def check_data(said: Mapping[str, object], train: Path | None, *, missing: str) -> None:
    """Raise InfrastructureError, which says `missing`, where a supervisor sees other data than lies in `train`.

    An older image's says nothing of it.
    """
    inside = said.get("data")
    if train is not None and inside is not None and inside != stamps(train):
        raise InfrastructureError(f"a container sees other files in {train} than are there: {missing}")


def stamps(folder: Path) -> dict[str, list[int]]:
    """Return size and time of change, in seconds, of every file in `folder` by name, as a supervisor does."""
    found = {path.name: path.stat() for path in folder.iterdir() if path.is_file()}
    return {name: [stat.st_size, int(stat.st_mtime)] for name, stat in found.items()}


def _engine(spec: Spec, host: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what the engine shows and what was asked for, side by side."""
    limits = spec.limits
    options = host["SecurityOpt"] or []
    mounts = host["Tmpfs"] or {}
    return {
        "memory": (host["Memory"], limits.memory),
        "memory_swap": (host["MemorySwap"], limits.memory),
        "pids": (host["PidsLimit"], limits.pids),
        "nano_cpus": (host["NanoCpus"], int(limits.cpus * 1e9)),
        "nofile": (_hard_limit(host, "nofile"), limits.nofile),
        "core": (_hard_limit(host, "core"), 0),
        "shm_size": (host["ShmSize"], limits.shm),
        "shm": (mounts.get("/dev/shm"), shm_options(limits)),  # noqa: S108 - inside the container
        "tmp": (mounts.get("/tmp"), tmp_options(limits)),  # noqa: S108 - the same
        "terminals": (mounts.get("/dev/pts"), SEALED),
        "queues": (mounts.get("/dev/mqueue"), SEALED),
        "init": (int(bool(host.get("Init"))), 0),
        "read_only": (int(host["ReadonlyRootfs"]), 1),
        "masked": (len(set(MASKED) - set(host["MaskedPaths"] or ())), 0),
        "privileged": (int(host["Privileged"]), 0),
        "process_namespace": (host["PidMode"] or "private", "private"),
        "runtime": (host["Runtime"], spec.runtime),
        "network": (host["NetworkMode"], "none"),
        "name_servers": (",".join(host["Dns"] or []), NOWHERE),
        "ipc": (host["IpcMode"], "private"),
        "control_group_namespace": (host["CgroupnsMode"], "private"),
        "capabilities_dropped": (_capabilities(host["CapDrop"]), "ALL"),
        "capabilities_added": (_capabilities(host["CapAdd"]), _capabilities(added_capabilities(spec))),
        "no_new_privileges": (int("no-new-privileges" in options), 1),
        "seccomp": (int(f"seccomp={spec.seccomp}" in options), 1),
        "oom_score_adj": (host["OomScoreAdj"], OOM_SCORE),
    }


def _hard_limit(host: Mapping[str, Any], name: str) -> int | None:
    return next((limit["Hard"] for limit in host["Ulimits"] or () if limit["Name"] == name), None)


def _capabilities(names: Iterable[str] | None) -> str:
    """Return capabilities in one order and one spelling: some engines show SETUID as CAP_SETUID."""
    return ",".join(sorted(name.upper().removeprefix("CAP_") for name in names or ()))


def _kernel(wanted: Limits, kernel: Mapping[str, int]) -> dict[str, int]:
    """Return what the kernel must show, for those limits that it shows."""
    must = {"memory": wanted.memory, "memory_swap": wanted.memory, "swap": 0, "pids": wanted.pids}
    if "cpu_period" in kernel:
        must["cpu_quota"] = round(wanted.cpus * kernel["cpu_period"])
    return {name: value for name, value in must.items() if name in kernel}
