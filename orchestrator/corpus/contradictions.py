"""What in the corpus section contradicts something else in the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.config import Config
from orchestrator.errors import ConfigError
from orchestrator.language_model.assets import pinned


def contradictions(config: Config) -> Iterator[str]:
    """Yield if switches of the corpus contradict each other, or another part of the configuration."""
    corpus = config.corpus
    yield from _of_clean(config)
    try:
        pinned(corpus.lemur)
    except ConfigError as error:
        yield str(error)
    if corpus.qualified is None:
        for key in ("max_parameters", "min_accuracy"):
            if getattr(corpus, key) is not None:
                other = "" if key == "max_parameters" else "; LEMUR's own accuracy has corpus.clean.min_accuracy"
                yield f"corpus.{key} needs corpus.qualified, which it is compared with{other}"
    if corpus.strip_boilerplate and not config.completion:
        yield "corpus.strip_boilerplate needs completion: true, or nothing trained on could ever run"


def _of_clean(config: Config) -> Iterator[str]:
    bounds, longest = config.corpus.clean, config.llm.sft.max_length
    if bounds is None:
        return
    if config.corpus.qualified is not None:
        yield (
            "corpus.clean and corpus.qualified both say which programs run, and a qualified one ran in full:"
            " set one of them to null"
        )
    if config.llm.finetune and bounds.model_tokens >= longest:
        yield (
            f"corpus.clean.model_tokens is {bounds.model_tokens}, but llm.sft.max_length is {longest} and holds the"
            " prompt as well: lower the first or raise the second, since nothing is cut off"
        )
