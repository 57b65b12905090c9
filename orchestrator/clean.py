"""What makes a seed program clean: LEMUR knows that it learns, it is short for the LLM, and its forward pass runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.config import Config
from orchestrator.curation import Drop, Stage, sift
from orchestrator.errors import ConfigError
from orchestrator.lemur import Model
from orchestrator.qualify import Seed
from orchestrator.records import Digest, Failed
from orchestrator.sections import CleanConfig


@dataclass(frozen=True)
class Assay:
    """How seeds are tried: `count` gives the LLM's tokens of each text, `dry_run` why programs do not run, or None.

    The latter by the digest of their text. What either costs is spent on nothing that was dropped before.
    """

    count: Callable[[Sequence[str]], Sequence[int]]
    dry_run: Callable[[Sequence[Seed]], Mapping[Digest, Failed | None]]


def check(config: Config) -> None:
    """Raise ConfigError where `corpus.clean` contradicts another part of the configuration."""
    bounds, longest = config.corpus.clean, config.llm.sft.max_length
    if bounds is None:
        return
    if config.corpus.qualified is not None:
        raise ConfigError(
            "corpus.clean and corpus.qualified both say which programs run, and a qualified one ran in full:"
            " set one of them to null"
        )
    if config.llm.finetune and bounds.model_tokens >= longest:
        raise ConfigError(
            f"corpus.clean.model_tokens is {bounds.model_tokens}, but llm.sft.max_length is {longest} and holds the"
            " prompt as well: lower the first or raise the second, since nothing is cut off"
        )


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
