"""What every program needs of its container, tried under a candidate's rights before the container says it is ready.

What only the machine can do wrong, no program is blamed for: data whose mode lets nobody else read it, or that SELinux,
a user namespace or a remote file system withholds.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path

from sandbox_image.child import told_by_child

DATA = Path("/data")
UID = 10001  # the first candidate's; to a file all candidates are strangers
CODE = ("sandbox_image.stages", "torch", "numpy")


def stamps(folder: Path = DATA) -> dict[str, list[int]]:
    """Return size and time of change, in seconds, of every file in `folder`, by name: equal if it is the host's own."""
    if not folder.exists():
        return {}
    found = {path.name: path.stat() for path in sorted(folder.iterdir()) if path.is_file()}
    return {name: [stat.st_size, int(stat.st_mtime)] for name, stat in found.items()}


def trouble(folder: Path = DATA, *, uid: int = UID) -> str | None:
    """Return what of the data or of the stages' code a process of `uid` may not read, tried in a child; or None."""
    try:
        paths = [*(sorted(folder.iterdir()) if folder.exists() else ()), *map(_file, CODE)]
    except OSError as error:
        return f"{folder} cannot be listed: {error.strerror} ({_mode(folder)})"
    return told_by_child(lambda: _unreadable_for(uid, paths)) or None


def _unreadable_for(uid: int, paths: Iterable[Path]) -> str:
    """Give up root for good, and say which of `paths` cannot be read then; nothing if all can."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    found = _unreadable(paths)
    return "" if found is None else f"uid {uid} may not read {found}"


def _unreadable(paths: Iterable[Path]) -> str | None:
    for path in paths:
        try:
            with path.open("rb") as file:
                file.read(1)
        except IsADirectoryError:
            continue
        except OSError as error:
            return f"{path}: {error.strerror} ({_mode(path)})"
    return None


def _file(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    return Path(spec.origin if spec is not None and spec.origin else module)


def _mode(path: Path) -> str:
    """Say the mode of a path, or of the folder that does not let this process in."""
    for one in (path, path.parent):
        with contextlib.suppress(OSError):
            stat = one.stat()
            return f"{one} has mode {stat.st_mode & 0o7777:04o} of uid {stat.st_uid}"
    return "mode unknown"
