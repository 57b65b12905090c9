"""The slices that systemd makes for control groups, under the machine's own service manager or a user's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

TOP = "nnsandbox.slice"
SECONDS = 30  # in which the service manager has to answer


def top(root: Path, *, rootless: bool) -> Path:
    """Return the folder that all our slices lie in; a rootless engine's lie below its user's own service manager."""
    uid = os.getuid()
    return (root / f"user.slice/user-{uid}.slice/user@{uid}.service" if rootless else root) / TOP


def stop(name: str, *, rootless: bool) -> str | None:
    """End a slice, which stays active without its container; return None, or why it stays behind."""
    command = ["systemctl", *(["--user"] if rootless else []), "--no-ask-password", "stop", name]
    environment = {"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}"} | os.environ  # by which a user's manager is found
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"systemctl: {error}"
    said = done.stderr.strip().partition("\n")[0]
    return None if done.returncode == 0 else said or f"systemctl ended with exit code {done.returncode}"


def may_stop(*, rootless: bool) -> bool:
    """Whether this user may end slices of the manager that makes them."""
    return rootless or os.geteuid() == 0
