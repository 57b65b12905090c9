"""Who owns a container, until when, and the removal of what a dead owner left behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.records import digest
from orchestrator.sandbox.cgroup import ControlGroup, empty_groups
from orchestrator.sandbox.engine import engine_errors

if TYPE_CHECKING:
    import docker

PREFIX = "nn-sandbox"
OWNER, MACHINE, PROCESS, EXPIRES = (f"{PREFIX}.{name}" for name in ("owner", "machine", "process", "expires"))
SLACK = 60.0  # seconds past its expiry in which an owner may still be removing a container itself
BETWEEN_LOOKS = 1.0
PARTS = 4  # of a control group's name
STARTED = 19  # of the fields behind the name in /proc/PID/stat: ticks from boot to the process's start


def labels(*, owner: str, life: float) -> dict[str, str]:
    """Return the labels of a container of this process: owner, machine, process, and when it expires (Unix time)."""
    return {
        OWNER: owner,
        MACHINE: _machine(),
        PROCESS: _process(os.getpid()) or "",
        EXPIRES: str(int(time.time() + life)),
    }


def group_name() -> str:
    """Return a new name for a control group, from which its owner's life can be told: machine, process, random digits.

    The parts are hexadecimal with an x between them, so that systemd reads no levels into it.
    """
    pid, _, started = (_process(os.getpid()) or "0:0").partition(":")
    return "x".join((_machine_digits(), f"{int(pid):x}", f"{int(started):x}", secrets.token_hex(6)))


def is_orphan(found: Mapping[str, str], *, now: float) -> bool:
    """Whether a container with these labels has lost its owner.

    On the owner's own machine that is so where the process is gone; elsewhere only the lease can tell.
    """
    if OWNER not in found:
        return False
    if found.get(MACHINE) == _machine():
        pid = found.get(PROCESS, "").partition(":")[0]
        return not pid.isdigit() or _process(int(pid)) != found[PROCESS]
    expires = found.get(EXPIRES, "")
    return expires.isdigit() and int(expires) + SLACK < now


def reap(client: docker.DockerClient, *, driver: str) -> list[str]:
    """Remove the containers of dead owners, seen as such twice, and return their ids; never a living owner's.

    Empty control groups of dead processes of this machine go too: a kill may come between a container's end and its
    group's, and an engine that hangs may remove a container later.

    One that cannot be ended yet, for the kernel still takes it apart, is left to whoever reaps next.

    Raises:
        InfrastructureError: the engine failed.
    """
    for name in empty_groups(driver):
        if _is_dead_group(name):
            ControlGroup(name=name, driver=driver).remove()
    suspects = _orphans(client)
    if not suspects:
        return []
    time.sleep(BETWEEN_LOOKS)
    again = _orphans(client)
    removed = []
    for identity in sorted(suspects.keys() & again.keys()):
        with engine_errors(f"removing orphan {identity[:12]}"):
            if not _removed(client, identity):
                continue
        ControlGroup(name=again[identity].removeprefix(f"/{PREFIX}-"), driver=driver).remove()
        removed.append(identity)
    return removed


def clear(client: docker.DockerClient, groups: Mapping[str, ControlGroup]) -> None:
    """Remove the containers that are still there of those that were named after `groups`, and the groups.

    An engine that hung while one was created or ended may have it still, or only now.

    Raises:
        InfrastructureError: the engine failed.
    """
    with engine_errors("removing what is left of our containers"):
        for item in client.api.containers(all=True, filters={"label": OWNER}):
            group = groups.get("".join(item["Names"][:1]).removeprefix(f"/{PREFIX}-"))
            if group is not None:
                _remove(client, item["Id"])
                group.remove()


def _removed(client: docker.DockerClient, identity: str) -> bool:
    """Remove a container as `_remove` does; False where it runs on although the engine tried to kill it."""
    from docker.errors import APIError, NotFound

    try:
        _remove(client, identity)
    except APIError:
        with contextlib.suppress(NotFound):
            if client.api.inspect_container(identity)["State"]["Running"]:
                return False
            raise
    return True


def _remove(client: docker.DockerClient, identity: str) -> None:
    """Remove a container that is there, unless somebody else is removing it already."""
    from docker.errors import APIError

    try:
        client.api.remove_container(identity, force=True, v=True)
    except APIError as error:
        if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            raise


def _orphans(client: docker.DockerClient) -> dict[str, str]:
    """Return the names of orphaned containers by id."""
    with engine_errors("listing containers"):
        found: list[dict[str, Any]] = client.api.containers(all=True, filters={"label": OWNER})
    now = time.time()
    return {item["Id"]: item["Names"][0] for item in found if is_orphan(item["Labels"], now=now) and item["Names"]}


def _is_dead_group(name: str) -> bool:
    """Whether `group_name` made this name in a process of this machine that lives no more."""
    machine, *process, _ = name.split("x") if name.count("x") == PARTS - 1 else ("", "")
    if machine != _machine_digits():
        return False
    pid, started = (int(part, 16) for part in process)
    return _process(pid) != f"{pid}:{started}"


def _machine_digits() -> str:
    return digest(_machine().encode())[:6]


def _machine() -> str:
    """Return what tells apart two machines, and two process namespaces on one machine."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"


def _process(pid: int) -> str | None:
    """Return an identity of a live process that its pid's next user will not share: its start in clock ticks."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return f"{pid}:{int(fields[STARTED])}"
