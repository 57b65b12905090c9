"""A seed program that is too long to be fine-tuned on is left out by name, and only what may be is counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.corpus.filters import fitting
from orchestrator.errors import ConfigError
from orchestrator.loop.fakes import fake_entry
from orchestrator.records import Entry, Message
from orchestrator.run import Store


def entries(folder: Path) -> list[Entry]:
    """Two short programs, and one that one of two pairs shows at length."""
    made = [fake_entry(index, Store(folder), protocol="0" * 64) for index in range(3)]
    again = made[2].model_copy(
        update={"entry_id": "again", "messages": (Message(role="user", content="x" * 4000), made[2].messages[-1])}
    )
    return [*made, again]


class Counter:
    """Counts a token for every two characters, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Sequence[Message]] = []

    def __call__(self, chats: Sequence[Sequence[Message]]) -> list[int]:
        self.asked += chats
        return [sum(len(message.content) for message in chat) // 2 for chat in chats]


def test_a_program_goes_with_all_its_pairs_and_its_length_is_told(tmp_path: Path) -> None:
    given, count = entries(tmp_path), Counter()
    longest = max(sum(len(message.content) for message in one.messages) for one in given[:3])
    kept, stage = fitting(given, max_length=longest // 2, count=count)
    assert [entry.entry_id for entry in kept] == [entry.entry_id for entry in given[:2]]
    assert [drop.name for drop in stage.drops] == [given[2].entry_id, "again"]
    assert (stage.kept, stage.dropped) == (2, 2)
    assert {drop.reason for drop in stage.drops} == {f"over {longest // 2} tokens with the prompt"}
    assert given[3].messages in count.asked
    assert given[0].messages not in count.asked


def test_nothing_is_counted_where_nothing_can_be_too_long(tmp_path: Path) -> None:
    given, count = entries(tmp_path), Counter()
    assert fitting(given, max_length=10_000, count=count)[0] == given
    assert not any(count.asked)


def test_a_corpus_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"llm\.sft\.max_length is 16, and every seed program is longer"):
        fitting(entries(tmp_path), max_length=16, count=Counter())
