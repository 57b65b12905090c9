"""Which stored objects a record refers to, so that they can be journalled, checked, and kept while they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PLACES = {
    "candidate": ("source", "program.runs", "program.shingles"),
    "verdict": ("predictions", "environment", "measured.stdout", "measured.stderr"),
    "entry": ("source", "shingles"),
    "provenance": ("prompt",),
}


def references(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of the objects that a ledger's line, as plain data, refers to, by the name of their field."""
    found = {}
    for place in PLACES.get(str(record.get("kind")), ()):
        value: Any = record
        for part in place.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, str):
            found[place.rpartition(".")[2]] = value
    return found
