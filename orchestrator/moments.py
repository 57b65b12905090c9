"""When things happened to a candidate, as far as the run's journal dates them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator.account import JOURNAL
from orchestrator.records import Digest


def verdict_times(folder: Path) -> dict[str, datetime]:
    """Return when each candidate's verdict was journalled (UTC); empty where the run has no journal."""
    return {str(data["candidate_id"]): at for at, data in _events(folder, "verdict") if "candidate_id" in data}


def pruned(folder: Path) -> dict[Digest, datetime]:
    """Return when each object was dropped that the journal says was pruned."""
    return {name: at for at, data in _events(folder, "prune") for name in data.get("objects", ())}


def _events(folder: Path, name: str) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """Yield time and data of each event of that name; what is torn or damaged is the business of `audit verify`."""
    try:
        content = (folder / JOURNAL).read_bytes()
    except FileNotFoundError:
        return
    marker = f'"event":"{name}"'.encode()
    for line in content.split(b"\n"):
        if marker in line:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                event = json.loads(line)
                yield datetime.fromisoformat(event["at"]), event["data"]
