"""How many tokens texts have for a model: what the counting worker is asked, and its answer."""

from __future__ import annotations

from orchestrator.records.generation import Message, ModelSpec
from orchestrator.records.record import Count, Record


class CountJob(Record):
    """What one run of the counting worker is asked for: tokens of texts, and of chats with the model's template."""

    model: ModelSpec
    texts: tuple[str, ...] = ()
    chats: tuple[tuple[Message, ...], ...] = ()


class Counted(Record):
    """The tokens of each text, without what a chat template puts around it, and then of each chat, with that."""

    tokens: tuple[Count, ...]
