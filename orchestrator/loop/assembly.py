"""Puts the real language model, sandbox, data and corpus together for a run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.config import Config
from orchestrator.corpus import filters, stages
from orchestrator.corpus.build import curate
from orchestrator.corpus.curation import summed_up
from orchestrator.errors import ConfigError
from orchestrator.evaluation import Evaluator, Prepared, open_evaluator, prepare
from orchestrator.language_model import Generator, LlmGenerator, LlmTokens, LlmTrainer, Trainer, assets, prompts
from orchestrator.language_model.baseline import CorpusGenerator
from orchestrator.loop.cycle import Parts
from orchestrator.progress import Note, Observer, unobserved
from orchestrator.records import Entry, Message, canonical
from orchestrator.run import RunFolder, Store, provenance
from orchestrator.run.chain import commitment
from orchestrator.run.keys import host_key
from orchestrator.sandbox import Engine, Sandbox

OWNER = "run"


def real_parts(
    run: RunFolder, *, cache: Path, observe: Observer, engine: Callable[[], Engine | None] = lambda: None
) -> Parts:
    """Return what the loop works with; nothing is started before it is needed.

    `engine` gives an open session with the engine, or None if each part is to open its own.

    Raises:
        InfrastructureError: the data set cannot be laid out.
    """
    config = run.config
    prepared = prepare(config.protocol, cache)
    log, resolution = run.path / "llm.log", config.protocol.resolution

    def seeds(store: Store) -> Iterable[Entry]:
        curation = curate(
            config, cache=cache, engine=engine(), record=run.record, report=lambda text: observe(Note(text))
        )
        observe(Note(summed_up(curation.stages)))
        made = list(stages.entries(config, curation, store))
        if config.llm.sampler == "model" and config.llm.finetune:
            tokens = LlmTokens(model=config.llm.model, cache=cache, log=log)
            made, stage = filters.fitting(made, max_length=config.llm.sft.max_length, count=tokens.chats)
            if stage.dropped:
                observe(Note(f"corpus, {stage.name}: kept {stage.kept:,} chat pairs, dropped {stage.dropped:,}"))
        return made

    def pair(source: str) -> tuple[Message, ...]:
        return prompts.pair(source, prompt=config.prompt, admission=config.admission, resolution=resolution)

    @functools.cache
    def base_model() -> str | None:
        return assets.model_hash(config.llm.model, cache) if config.llm.sampler == "model" else None

    def sampler() -> Generator:
        if config.llm.sampler == "corpus":
            return CorpusGenerator(run)
        return generator(config, cache=cache, log=log, observe=observe)

    def reap() -> None:
        with Sandbox(
            config.sandbox, owner=OWNER, record=run.record, engine=engine()
        ) as containers:  # whoever connects reaps first
            observe(Note(f"containers run at {containers.endpoint}"))

    return Parts(
        reap=reap,
        generator=sampler(),
        evaluator=lambda: sandbox(run, prepared, cache=cache, engine=engine(), model_hash=base_model),
        trainer=trainer(config, cache=cache, log=log, observe=observe),
        seeds=seeds,
        prompt=prompts.asked(config),
        pair=pair,
        chance=prepared.chance,
        majority=prepared.majority,
    )


def generator(config: Config, *, cache: Path, log: Path, observe: Observer = unobserved) -> Generator:
    """Return what samples from the configured model, in a worker that writes its prose to `log`.

    Raises:
        ConfigError: the configuration samples no model.
    """
    if config.llm.sampler != "model":
        raise ConfigError("llm.sampler is corpus, and only a run has one: set it to model to sample the model")
    return LlmGenerator(
        model=config.llm.model,
        decoding=config.llm.decoding,
        cache=cache,
        log=log,
        retries=config.retries,
        report=lambda text: observe(Note(text)),
    )


def trainer(config: Config, *, cache: Path, log: Path, observe: Observer) -> Trainer:
    """Return what fine-tunes the configured model, in a worker that writes its prose to `log`."""
    llm = config.llm
    return LlmTrainer(
        model=llm.model,
        lora=llm.lora,
        sft=llm.sft,
        cache=cache,
        log=log,
        on_step=observe,
        retries=config.retries,
        report=lambda text: observe(Note(text)),
    )


@contextmanager
def sandbox(
    run: RunFolder,
    prepared: Prepared,
    *,
    cache: Path,
    engine: Engine | None = None,
    model_hash: Callable[[], str | None] = lambda: None,
) -> Iterator[Evaluator]:
    """Start the evaluator of a run, and record under what circumstances; `model_hash` gives that of the base model."""
    config, prompt = run.config, None
    if config.llm.sampler == "model":
        prompt = run.store.put(canonical([message.model_dump() for message in prompts.asked(config)]))
    key = host_key(run.path, config=config, cache=cache)
    if run.journal is not None and run.journal.account.key != commitment(key):
        run.record("key", {"commitment": commitment(key)})
    with open_evaluator(config, cache=cache, prepared=prepared, key=key, engine=engine, record=run.record) as evaluator:
        gathered = provenance.gather(
            config,
            sandbox=evaluator.describe(),
            dataset=prepared.hash,
            seeds=run.corpus.read(),
            components=evaluator.components(),
            model_hash=model_hash(),
            prompt=prompt,
        )
        provenance.record(run.provenance, gathered)
        yield evaluator
