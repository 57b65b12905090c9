"""A folder to give away: it appears whole or not at all, and never over what is there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import ConfigError


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Lend an empty folder beside `out` to write into; it becomes `out` when all went well, and goes otherwise.

    Raises:
        ConfigError: `out` is a file, or a folder that is not empty.
        OSError: the disk refuses; nothing stays behind.
    """
    target = out.resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"--out {out}: is not empty, and an export writes over nothing; name a new or empty folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.part-"))
    try:
        partial.chmod(0o755)
        yield partial
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
