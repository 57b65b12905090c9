"""What a piece of code imports, seen in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence


def imported(code: str, names: Sequence[str]) -> list[str]:
    """Which of `names` are there after `code`, which prints nothing and succeeds."""
    text = f"{code}\nimport sys\nprint(*(name for name in {tuple(names)} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()
