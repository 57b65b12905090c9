"""Who owns a container, until when, and the removal of what a dead owner left behind."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from orchestrator.records import digest
from orchestrator.sandbox.cgroup import TOP, ControlGroup, empty_groups, removable
from orchestrator.sandbox.engine import Engine
from orchestrator.sandbox.engine_errors import RefusedError

OWNER, MACHINE, PROCESS, EXPIRES = (f"{TOP}.{name}" for name in ("owner", "machine", "process", "expires"))
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


def container_name(group: ControlGroup) -> str:
    """Return the name of the container that a control group is for."""
    return f"{TOP}-{group.name}"


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


def reap(engine: Engine, *, driver: str, rootless: bool = False) -> list[str]:
    """Remove the containers of dead owners, seen as such twice, and return their ids; never a living owner's.

    Empty control groups of dead processes of this machine go too: a kill may come between a container's end and its
    group's, and an engine that hangs may remove a container later.

    One that cannot be ended yet, for the kernel still takes it apart, is left to whoever reaps next.

    Raises:
        InfrastructureError: the engine failed.
    """
    for name in empty_groups(driver, rootless=rootless) if removable(driver, rootless=rootless) else ():
        if _is_dead_group(name):
            ControlGroup(name=name, driver=driver, rootless=rootless).remove()
    suspects = _orphans(engine)
    if not suspects:
        return []
    time.sleep(BETWEEN_LOOKS)
    again = _orphans(engine)
    removed = []
    for identity in sorted(suspects.keys() & again.keys()):
        if _removed(engine, identity):
            ControlGroup(again[identity].removeprefix(f"{TOP}-"), driver, rootless=rootless).remove()
            removed.append(identity)
    return removed


def clear(engine: Engine, groups: Mapping[str, ControlGroup]) -> None:
    """Remove the containers that are still there of those that were named after `groups`, and the groups.

    An engine that hung while one was created or ended may have it still, or only now.

    Raises:
        InfrastructureError: the engine failed.
    """
    for found in engine.listed(label=OWNER):
        group = groups.get(found.name.removeprefix(f"{TOP}-"))
        if group is not None:
            _remove(engine, found.id)
            group.remove()


def _removed(engine: Engine, identity: str) -> bool:
    """Remove a container as `_remove` does; False where it runs on although the engine tried to kill it."""
    try:
        _remove(engine, identity)
    except RefusedError:
        shown = engine.inspect(identity)
        if shown is not None and not shown.running:
            raise
        return shown is None
    return True


def _remove(engine: Engine, identity: str) -> None:
    """Remove a container that is there, unless somebody else is removing it already."""
    try:
        engine.remove(identity)
    except RefusedError as error:
        if not error.conflict:
            raise


def _orphans(engine: Engine) -> dict[str, str]:
    """Return the names of orphaned containers by id."""
    now = time.time()
    found = engine.listed(label=OWNER)
    return {one.id: one.name for one in found if is_orphan(one.labels, now=now) and one.name}


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
