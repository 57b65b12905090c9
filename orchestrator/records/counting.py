"""How many tokens texts have for a model: what the counting worker is asked, and its answer."""

from __future__ import annotations

from orchestrator.records.generation import ModelSpec
from orchestrator.records.record import Count, Record


class CountJob(Record):
    """What one run of the counting worker is asked for."""

    model: ModelSpec
    texts: tuple[str, ...]


class Counted(Record):
    """The tokens of each text, in order, without what a chat template puts around it."""

    tokens: tuple[Count, ...]
