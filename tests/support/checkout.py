"""Where the tests find the project's own files."""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("ORCHESTRATE_CACHE", CHECKOUT / ".cache"))
CONFIGS = CHECKOUT / "configs"
QUICKSTART = CONFIGS / "quickstart.yaml"
