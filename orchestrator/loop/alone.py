"""The language model by itself, as the loop uses it: sampled, or fine-tuned on a corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestrator.config import Config
from orchestrator.errors import ConfigError, refuse
from orchestrator.language_model import assets, prompts
from orchestrator.loop import budget
from orchestrator.loop.assembly import generator, trainer
from orchestrator.progress import Observer, Report, silent, unobserved
from orchestrator.records import Adapter, Entry, Sampled, derived_seed
from orchestrator.run import Ledger

LOG = "llm.log"


def sample(
    config: Config, *, count: int, cache: Path, adapter: Path | None = None, observe: Observer = unobserved
) -> Iterator[Sampled]:
    """Yield `count` completions of the configuration's prompt as they finish; the worker ends with the iterator.

    Raises:
        ConfigError: the configuration samples no model, or a package is missing.
        InfrastructureError: the model cannot be had, or the last worker died.
    """
    llm = generator(config, cache=cache, log=cache / LOG, observe=observe)
    _at_hand(config)
    chunks = budget.chunks(config.budget, seed=config.seed, cycle=0, start=0, end=count)
    yield from llm.generate(adapter=adapter, messages=prompts.asked(config), chunks=chunks)


def finetune(  # noqa: PLR0913 - each is one choice of the caller
    config: Config,
    *,
    corpus: Path,
    output: Path,
    cache: Path,
    adapter: Path | None = None,
    observe: Observer = unobserved,
    report: Report = silent,
) -> Adapter:
    """Fine-tune a LoRA adapter on the chat pairs of the file `corpus`, from the base model or on from `adapter`.

    It is written to the folder `output`, which must be new.

    Raises:
        ConfigError: `output` is there, `corpus` is empty or not finished, or a package is missing.
        InfrastructureError: the model cannot be had, the last worker died, or `output` cannot be written.
    """
    if output.exists():
        raise ConfigError(f"{output}: exists; name a new folder")
    ledger = Ledger(corpus, Entry, report=report)
    entries = ledger.read()
    if not entries:
        raise ConfigError(f"{corpus}: holds no entry")
    if not ledger.whole:
        raise ConfigError(f"{corpus}: has no end marker; let `orchestrate corpus build` finish it")
    _at_hand(config)
    llm = trainer(config, cache=cache, log=cache / LOG, observe=observe)
    return llm.train(entries=entries, adapter=adapter, output=output, seed=derived_seed(config.seed, "finetune", 1))


def _at_hand(config: Config) -> None:
    """Raise ConfigError or InfrastructureError unless the model's worker can be started and the model be had."""
    refuse(assets.unworkable())
    assets.look_up(config.llm.model)
