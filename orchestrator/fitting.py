"""Leaves out the seed programs whose chat pairs are longer than what the language model is fine-tuned on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.curation import Drop, Stage
from orchestrator.errors import ConfigError
from orchestrator.records import Digest, Entry, Message

NAME = "fine-tuning length"
SURE = 2.5  # characters of a token, at the least: tokenizers of code take three or more, and nothing is counted in vain

Count = Callable[[Sequence[Sequence[Message]]], Sequence[int]]


def fitting(entries: Sequence[Entry], *, max_length: int, count: Count) -> tuple[list[Entry], Stage]:
    """Keep the entries of programs all of whose chats have at most `max_length` tokens; nothing is ever cut off.

    `count` gives the tokens of each chat with the model's template, and is asked only of those that may be too long.

    Raises:
        ConfigError: none is left.
    """
    doubtful = [entry for entry in entries if _characters(entry) > SURE * max_length]
    longest: dict[Digest, int] = {}
    for entry, tokens in zip(doubtful, count([entry.messages for entry in doubtful]), strict=True):
        longest[entry.source] = max(tokens, longest.get(entry.source, 0))
    kept = [entry for entry in entries if longest.get(entry.source, 0) <= max_length]
    if entries and not kept:
        raise ConfigError(
            f"llm.sft.max_length is {max_length}, and every seed program is longer than that with its prompt: raise it,"
            " or choose shorter seeds with corpus.max_tokens"
        )
    reason = f"over {max_length} tokens with the prompt"
    drops = tuple(
        Drop(entry.entry_id, reason, f"{longest[entry.source]}")
        for entry in entries
        if longest.get(entry.source, 0) > max_length
    )
    return kept, Stage(name=NAME, kept=len(kept), drops=drops)


def _characters(entry: Entry) -> int:
    return sum(len(message.content) for message in entry.messages)
