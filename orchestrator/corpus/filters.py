"""What makes a seed program clean: LEMUR knows that it learns, it is short for the LLM, and its forward pass runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.corpus.curation import Drop, Stage, sift
from orchestrator.corpus.lemur import Model
from orchestrator.corpus.qualify import Seed
from orchestrator.errors import ConfigError
from orchestrator.records import Digest, Entry, Failed, Message
from orchestrator.sections import CleanConfig


@dataclass(frozen=True)
class Assay:
    """How seeds are tried: `count` gives the LLM's tokens of each text, `dry_run` why programs do not run, or None.

    The latter by the digest of their text. What either costs is spent on nothing that was dropped before.
    """

    count: Callable[[Sequence[str]], Sequence[int]]
    dry_run: Callable[[Sequence[Seed]], Mapping[Digest, Failed | None]]


def known(bounds: CleanConfig, models: Sequence[Model]) -> tuple[list[Model], Stage]:
    """Keep the models whose best CIFAR-10 accuracy after one epoch LEMUR knows, and that it is high enough."""

    def why(model: Model) -> Drop | None:
        if model.accuracy is None:
            return Drop(model.name, "none is known")
        if model.accuracy < bounds.min_accuracy:
            return Drop(model.name, f"accuracy under {bounds.min_accuracy:g}", f"{model.accuracy:.4f}")
        return None

    return sift("first-epoch accuracy", models, why)


def short(bounds: CleanConfig, seeds: Sequence[Seed], assay: Assay) -> tuple[list[Seed], Stage]:
    """Keep the seeds whose text, as it is trained on, has few enough of the LLM's own tokens."""
    counts = assay.count([seed.text.decode() for seed in seeds])
    tokens = {seed.name: count for seed, count in zip(seeds, counts, strict=True)}

    def why(seed: Seed) -> Drop | None:
        if tokens[seed.name] <= bounds.model_tokens:
            return None
        return Drop(seed.name, f"over {bounds.model_tokens:,} model tokens", str(tokens[seed.name]))

    return sift("model tokens", seeds, why)


def runnable(seeds: Sequence[Seed], assay: Assay) -> tuple[list[Seed], Stage]:
    """Keep the seeds that pass import, instantiate and forward in the sandbox, at the protocol's shape."""
    failures = assay.dry_run(seeds)

    def why(seed: Seed) -> Drop | None:
        failure = failures[seed.digest]
        return None if failure is None else Drop(seed.name, f"{failure.state} in {failure.stage}", failure.cause)

    return sift("dry run", seeds, why)


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
