"""What a run would fail on sooner or later, found before the run is frozen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.config import Config, contradictions, load
from orchestrator.corpus import contradictions as corpus
from orchestrator.corpus import qualify
from orchestrator.errors import ConfigError, refuse
from orchestrator.evaluation import prepare
from orchestrator.evaluation.dataset import excesses
from orchestrator.language_model import assets, prompts
from orchestrator.loop.assembly import OWNER
from orchestrator.machine import gpu_count, shortages
from orchestrator.sandbox import Engine, Sandbox
from orchestrator.shipped import shipped_configs

FIRST_GPU = "0"  # on which the language model is, unless its device or the environment say another

CHARACTERS = 3  # of a prompt in a token, at the least; tokenizers of code take nearer four

TEMPLATE = 48  # tokens that a chat template adds

WITHOUT = " ".join(f"--set corpus.{key}=null" for key in ("qualified", "min_accuracy", "max_parameters"))

WSL = Path("/dev/dxg")  # through which Windows lends its GPU, which has no driver of its own here then


def check(config: Config) -> None:
    """Raise ConfigError that names everything that a run would fail on, so that no run is frozen with it."""
    refuse(troubles(config))


def troubles(config: Config) -> Iterator[str]:
    """Yield what contradicts something else in `config`, or something on this machine; nothing is started for it."""
    yield from contradictions(config)
    yield from corpus.contradictions(config)
    yield from shortages(config.sandbox)
    yield from _of_the_sandbox(config)
    yield from _of_the_language_model(config)
    yield from _of_the_qualification(config)


def _of_the_sandbox(config: Config) -> Iterator[str]:
    llm, deadlines = config.llm, config.sandbox.deadlines
    if deadlines.claimed() + deadlines.ready >= deadlines.life:
        yield (
            f"sandbox.deadlines.life is {deadlines.life:g} s, but a start, a claim and all stages may take"
            f" {deadlines.claimed() + deadlines.ready:g} s: raise it"
        )
    on_gpu = llm.sampler == "model" and llm.model.device != "cpu"
    first = os.environ.get("CUDA_VISIBLE_DEVICES", FIRST_GPU).partition(",")[0].strip()
    if on_gpu and config.budget.overlap and first in config.sandbox.gpus:
        yield (
            f"sandbox.gpus holds GPU {first}, on which the language model would generate meanwhile: set budget.overlap"
            " to false, or give candidates other GPUs"
        )


def _of_the_language_model(config: Config) -> Iterator[str]:
    llm = config.llm
    if llm.sampler == "model":
        yield from _said_by(lambda: assets.check(llm.model))
        if llm.model.device == "cuda" and not gpu_count() and not WSL.exists():
            yield "llm.model.device is cuda, and this machine has no NVIDIA GPU that is visible: set it to auto or cpu"
        for wrong in assets.unworkable():
            yield f"llm.sampler is model, and {wrong}, or set llm.sampler to corpus and llm.finetune to false"
    messages = prompts.asked(config)
    asked = TEMPLATE + sum(len(message.content) for message in messages) // CHARACTERS
    if llm.finetune and llm.iterate and llm.decoding.max_new_tokens + asked > llm.sft.max_length:
        yield (
            f"llm.decoding.max_new_tokens is {llm.decoding.max_new_tokens}, so that a program and its prompt may be"
            f" longer than llm.sft.max_length, {llm.sft.max_length}, and could not be trained on: lower the first to"
            f" {max(1, llm.sft.max_length - asked)}, or raise the second to {llm.decoding.max_new_tokens + asked}"
        )


def _of_the_qualification(config: Config) -> Iterator[str]:
    """Yield why the seeds' qualification does not hold: which key of the protocol it was measured otherwise under."""
    name = config.corpus.qualified
    if name is None or not (said := list(_said_by(lambda: _qualifications(config, name)))):
        return
    measured = [one for one in map(load, shipped_configs().values()) if one.corpus.qualified == name]
    other = min(measured, key=lambda one: one.name != config.name, default=config)  # its own of that name before others
    mine, theirs = (one.protocol.model_dump(mode="json") for one in (config, other))
    keys = [f"protocol.{key}" for key in mine if mine[key] != theirs.get(key)]
    if not keys:
        yield from said
        return
    yield (
        f"{', '.join(keys)}: corpus.qualified was measured under the protocol of {other.name}, which has another value."
        f" Leave the qualification out ({WITHOUT}), or qualify again with `orchestrate corpus qualify`"
    )


def _qualifications(config: Config, name: str) -> object:
    return qualify.read(qualify.locate(name), protocol=config.protocol.hash())


def _said_by(check: Callable[[], object]) -> Iterator[str]:
    """Yield what `check` raises as a ConfigError, if it does."""
    try:
        check()
    except ConfigError as error:
        yield str(error)


def look_up(config: Config) -> None:
    """Raise InfrastructureError if the model of `config` cannot be had, in seconds and before a run is frozen."""
    if config.llm.sampler == "model":
        assets.look_up(config.llm.model)


def rehearse(config: Config, *, cache: Path, engine: Engine | None = None) -> None:
    """Lay the data set out and start a container, with each of the GPUs, so that no run is frozen if that fails.

    Raises:
        ConfigError: the validation images are more than a container takes.
        InfrastructureError: the data set cannot be laid out, or the engine starts no such container.
    """
    prepared = prepare(config.protocol, cache)
    refuse(excesses(prepared, config))
    with Sandbox(config.sandbox, owner=OWNER, engine=engine) as containers:
        containers.prove(train=prepared.train_dir)
