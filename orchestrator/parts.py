"""Puts the real language model, sandbox, data and corpus together for a run."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator import assets, corpus, fitting, prompts, provenance, qualify
from orchestrator.account import commitment
from orchestrator.baseline import CorpusGenerator
from orchestrator.capacity import check_machine, check_size
from orchestrator.config import Config
from orchestrator.containers import Containers
from orchestrator.contradictions import contradictions
from orchestrator.cycle import Parts
from orchestrator.datasets import Prepared, prepare
from orchestrator.errors import ConfigError
from orchestrator.evaluate import SandboxEvaluator
from orchestrator.keys import host_key
from orchestrator.progress import Note, Observer, unobserved
from orchestrator.records import Entry, Message, canonical
from orchestrator.run import RunFolder
from orchestrator.seams import Evaluator, Generator, Trainer
from orchestrator.seed_corpus import curate
from orchestrator.store import Store
from orchestrator.tokens import LlmTokens
from orchestrator.workers import LlmGenerator, LlmTrainer

FIRST_GPU = "0"  # on which the language model is, unless its device or the environment say another
CHARACTERS = 3  # of a prompt in a token, at the least; tokenizers of code take nearer four
TEMPLATE = 48  # tokens that a chat template adds
OWNER = "run"


def check(config: Config) -> None:
    """Raise ConfigError for what a run would fail on sooner or later, so that no run is frozen with it."""
    for wrong in contradictions(config):
        raise ConfigError(wrong)
    corpus.check(config)
    check_machine(config)
    llm, deadlines = config.llm, config.sandbox.deadlines
    if deadlines.claimed() + deadlines.ready >= deadlines.life:
        raise ConfigError(
            f"sandbox.deadlines.life is {deadlines.life:g} s, but a start, a claim and all stages may take"
            f" {deadlines.claimed() + deadlines.ready:g} s: raise it"
        )
    if llm.sampler == "model":
        assets.check(llm.model)
    on_gpu = llm.sampler == "model" and llm.model.device != "cpu"
    first = os.environ.get("CUDA_VISIBLE_DEVICES", FIRST_GPU).partition(",")[0].strip()
    if on_gpu and config.budget.overlap and first in config.sandbox.gpus:
        raise ConfigError(
            f"sandbox.gpus holds GPU {first}, on which the language model would generate meanwhile: set budget.overlap"
            " to false, or give candidates other GPUs"
        )
    messages = prompts.asked(config)
    asked = TEMPLATE + sum(len(message.content) for message in messages) // CHARACTERS
    if llm.finetune and llm.iterate and llm.decoding.max_new_tokens + asked > llm.sft.max_length:
        raise ConfigError(
            f"llm.decoding.max_new_tokens is {llm.decoding.max_new_tokens}, so that a program and its prompt may be"
            f" longer than llm.sft.max_length, {llm.sft.max_length}, and could not be trained on: lower the first to"
            f" {max(1, llm.sft.max_length - asked)}, or raise the second to {llm.decoding.max_new_tokens + asked}"
        )
    if config.corpus.qualified is not None:
        qualify.read(qualify.locate(config.corpus.qualified), protocol=config.protocol.hash())


def rehearse(config: Config, *, cache: Path) -> None:
    """Lay the data set out and start a container, with each of the GPUs, so that no run is frozen where that fails.

    Raises:
        ConfigError: the validation images are more than a container takes.
        InfrastructureError: the data set cannot be laid out, or the engine starts no such container.
    """
    prepared = prepare(config.protocol, cache)
    check_size(prepared, config)
    with Containers(config.sandbox, owner=OWNER) as containers:
        containers.prove(train=prepared.train_dir)


def real_parts(run: RunFolder, *, cache: Path, observe: Observer) -> Parts:
    """Return what the loop works with; nothing is started before it is needed.

    Raises:
        InfrastructureError: the data set cannot be laid out.
    """
    config = run.config
    prepared = prepare(config.protocol, cache)
    log, resolution = run.path / "llm.log", config.protocol.resolution

    def seeds(store: Store) -> Iterable[Entry]:
        curation = curate(config, cache=cache, record=run.record, report=lambda text: observe(Note(text)))
        for stage in curation.stages:
            observe(Note(f"corpus, {stage.name}: kept {stage.kept:,}, dropped {stage.dropped:,}"))
        made = list(corpus.entries(config, curation, store))
        if config.llm.sampler == "model" and config.llm.finetune:
            tokens = LlmTokens(model=config.llm.model, cache=cache, log=log)
            made, stage = fitting.fitting(made, max_length=config.llm.sft.max_length, count=tokens.chats)
            observe(Note(f"corpus, {stage.name}: kept {stage.kept:,} chat pairs, dropped {stage.dropped:,}"))
        return made

    def pair(source: str) -> tuple[Message, ...]:
        return prompts.pair(source, prompt=config.prompt, admission=config.admission, resolution=resolution)

    @functools.cache
    def base_model() -> str | None:
        return provenance.model_hash(config.llm.model, cache) if config.llm.sampler == "model" else None

    def sampler() -> Generator:
        if config.llm.sampler == "corpus":
            return CorpusGenerator(run)
        return generator(config, cache=cache, log=log, observe=observe)

    def reap() -> None:
        with Containers(config.sandbox, owner=OWNER, record=run.record) as containers:  # whoever connects reaps first
            observe(Note(f"containers run at {containers.endpoint}"))

    return Parts(
        reap=reap,
        generator=sampler(),
        evaluator=lambda: sandbox(run, prepared, cache=cache, model_hash=base_model),
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
    run: RunFolder, prepared: Prepared, *, cache: Path, model_hash: Callable[[], str | None] = lambda: None
) -> Iterator[Evaluator]:
    """Start the evaluator of a run, and record under what circumstances; `model_hash` gives that of the base model."""
    with Containers(run.config.sandbox, owner=OWNER, record=run.record) as containers:
        surroundings, components = containers.describe(), containers.components()
    prompt = None
    if run.config.llm.sampler == "model":
        prompt = run.store.put(canonical([message.model_dump() for message in prompts.asked(run.config)]))
    gathered = provenance.gather(
        run.config,
        sandbox=surroundings,
        dataset=prepared.hash,
        seeds=run.corpus.read(),
        components=components,
        model_hash=model_hash(),
        prompt=prompt,
    )
    provenance.record(run.provenance, gathered)
    key = host_key(run.path, config=run.config, cache=cache)
    if run.journal is not None and run.journal.account.key != commitment(key):
        run.record("key", {"commitment": commitment(key)})
    with SandboxEvaluator(
        config=run.config, store=run.store, prepared=prepared, key=key, record=run.record
    ) as evaluator:
        yield evaluator
