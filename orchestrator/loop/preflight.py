"""What a run would fail on sooner or later, found before the run is frozen."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.config import Config, contradictions
from orchestrator.corpus import qualify, stages
from orchestrator.errors import ConfigError
from orchestrator.evaluation import prepare
from orchestrator.evaluation.dataset import check_size
from orchestrator.language_model import assets, prompts
from orchestrator.loop.assembly import OWNER
from orchestrator.machine import check_machine
from orchestrator.sandbox import Sandbox

FIRST_GPU = "0"  # on which the language model is, unless its device or the environment say another

CHARACTERS = 3  # of a prompt in a token, at the least; tokenizers of code take nearer four

TEMPLATE = 48  # tokens that a chat template adds


def check(config: Config) -> None:
    """Raise ConfigError for what a run would fail on sooner or later, so that no run is frozen with it."""
    for wrong in contradictions(config):
        raise ConfigError(wrong)
    stages.check(config)
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
    with Sandbox(config.sandbox, owner=OWNER) as containers:
        containers.prove(train=prepared.train_dir)
