"""The fine-tuning worker: trains a LoRA adapter on a corpus of chats and streams every optimizer step."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast_object_list, set_seed
from pydantic import ValidationError

from llm import lora, loss, optimizer, schedule
from llm.batches import Example, collate, encode, epoch, windows
from llm.errors import WorkerError
from llm.model import Loaded, attach, be_deterministic, load, pick_device
from llm.stream import Output, read_job, run, say
from orchestrator.records import (
    Adapter,
    AdapterMeasured,
    Entry,
    FinetuneJob,
    FinetuneStep,
    ModelSpec,
    derived_seed,
    digest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Training:
    """Everything that one run of optimizer steps needs."""

    job: FinetuneJob
    accelerator: Accelerator
    model: Any
    optimizer: Any
    examples: list[Example]
    pad: int


def read_corpus(path: Path) -> tuple[list[Entry], str]:
    """Return the entries of a JSON Lines corpus and the SHA-256 of the file.

    Raises:
        WorkerError: the file cannot be read, is empty, or a line is no entry.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WorkerError(f"corpus {path}: cannot be read: {error}") from error
    entries = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            entries.append(Entry.model_validate_json(line))
        except ValidationError as error:
            raise WorkerError(f"corpus {path}, line {number}: no corpus entry: {error}") from error
    if not entries:
        raise WorkerError(f"corpus {path}: is empty, so there is nothing to train on")
    return entries, digest(content)


def mixed_precision(spec: ModelSpec, device: torch.device) -> str:
    """Return Accelerate's precision: half only on a GPU that has it, and where the model is held in it too."""
    if device.type != "cuda" or spec.dtype == "float32":
        return "no"
    if spec.dtype == "bfloat16":
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    return "fp16"


def steps(training: Training) -> Iterator[FinetuneStep]:
    """Run all epochs and yield every optimizer step.

    One step takes `accumulation` micro-batches, which the processes share: with more of them a step is faster and not
    larger. Its gradient is the sum over all their learnt tokens divided by the number of those tokens, so that how a
    step is cut into micro-batches does not matter.
    """
    sft, accelerator = training.job.sft, training.accelerator
    plan = [
        window
        for number in range(sft.epochs)
        for window in windows(
            epoch(training.examples, batch_size=sft.batch_size, seed=training.job.seed, number=number),
            size=sft.accumulation,
        )
    ]
    warmup = schedule.warmup(sft.warmup_steps, steps=len(plan))
    say(f"training: {len(training.examples)} examples, {len(plan)} steps, {warmup} of {sft.warmup_steps} warm-up steps")
    selective = loss.keeps_logits(accelerator.unwrap_model(training.model).get_base_model())
    began = time.monotonic()
    for number, window in enumerate(plan):
        rate = sft.learning_rate * schedule.factor(number, warmup=warmup, steps=len(plan))
        for group in training.optimizer.param_groups:
            group["lr"] = rate
        mean, tokens = step(training, window, selective=selective)
        seconds = time.monotonic() - began
        yield FinetuneStep(
            step=number + 1, steps=len(plan), loss=mean, learning_rate=rate, tokens=tokens, seconds=seconds
        )


def step(training: Training, window: list[list[Example]], *, selective: bool) -> tuple[float, int]:
    """Take one optimizer step; return the mean loss over its learnt tokens (of all processes) and their number."""
    accelerator = training.accelerator
    batches = [collate(examples, pad=training.pad) for examples in window]
    tokens = sum(batch.tokens for batch in batches)
    mine = batches[accelerator.process_index :: accelerator.num_processes]
    rounds = -(-len(batches) // accelerator.num_processes)
    weights = [1.0] * len(mine) + [0.0] * (rounds - len(mine))  # a process that has run out joins with weight 0
    mine += [batches[0]] * (rounds - len(mine))
    total = torch.zeros((), device=accelerator.device)
    for place, (batch, weight) in enumerate(zip(mine, weights, strict=True)):
        waits = place < rounds - 1  # gradients are exchanged once a step, with its last micro-batch
        with accelerator.no_sync(training.model) if waits else contextlib.nullcontext():
            with accelerator.autocast():
                summed = weight * loss.summed(training.model, batch, device=accelerator.device, selective=selective)
            accelerator.backward(summed * (accelerator.num_processes / tokens))  # processes are averaged, not summed
        total += summed.detach()
    accelerator.clip_grad_norm_(training.model.parameters(), training.job.sft.max_grad_norm)
    training.optimizer.step()
    training.optimizer.zero_grad(set_to_none=True)
    mean = float(accelerator.reduce(total, reduction="sum")) / tokens
    if not torch.isfinite(torch.tensor(mean)):
        raise WorkerError(f"training diverged (loss {mean}): lower llm.sft.learning_rate")
    return mean, tokens


def adapted(job: FinetuneJob) -> Loaded:
    """Load the base model and put the adapter on it: a new one, or the one that the job continues."""
    loaded = load(job.model, Path(job.cache))
    loaded.model.config.use_cache = False
    if job.sft.gradient_checkpointing:
        loaded.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        loaded.model.enable_input_require_grads()
    if job.adapter is not None:
        return attach(loaded, Path(job.adapter), trainable=True)
    return Loaded(
        model=lora.add(loaded.model, job.lora), tokenizer=loaded.tokenizer, device=loaded.device, base=loaded.base
    )


def receive(arguments: list[str]) -> FinetuneJob:
    """Return the job from stdin; under a distributed launch the first process reads it for all."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return read_job(FinetuneJob, arguments)
    state = PartialState(cpu=not torch.cuda.is_available())
    jobs = [read_job(FinetuneJob, arguments) if state.is_main_process else None]
    received = broadcast_object_list(jobs, from_process=0)[0]
    assert received is not None  # noqa: S101 - process 0 sent it, or died
    return received


def prepare(job: FinetuneJob, entries: list[Entry]) -> tuple[Training, Loaded, str]:
    """Build model, optimizer and examples; also return the name of the optimizer."""
    device = pick_device(job.model)
    set_seed(job.seed % 2**32)  # numpy takes 32 bits; job seeds have 63
    accelerator = Accelerator(mixed_precision=mixed_precision(job.model, device), cpu=device.type == "cpu")
    with accelerator.main_process_first():
        loaded = adapted(job)
    examples = [
        encode(entry, loaded.tokenizer, loss_on=job.sft.loss_on, max_length=job.sft.max_length) for entry in entries
    ]
    chosen, name = optimizer.build(loaded.model, job.sft, device=accelerator.device)
    model, prepared = accelerator.prepare(loaded.model.train(), chosen)
    torch.manual_seed(derived_seed(job.seed, accelerator.process_index))  # dropout differs between processes
    pad = loaded.tokenizer.pad_token_id
    training = Training(
        job=job,
        accelerator=accelerator,
        model=model,
        optimizer=prepared,
        examples=examples,
        pad=loaded.tokenizer.eos_token_id if pad is None else pad,
    )
    return training, loaded, name


def main(arguments: list[str], output: Output) -> None:
    """Read a FinetuneJob from stdin; write its FinetuneStep records and at the end one Adapter to `output`."""
    began = time.monotonic()
    job = receive(arguments)
    be_deterministic()
    entries, corpus = read_corpus(Path(job.corpus))
    training, loaded, name = prepare(job, entries)
    first = training.accelerator.is_main_process
    taken = []
    for done in steps(training):
        taken.append(done)
        if first:
            output.write(done)
    training.accelerator.wait_for_everyone()
    if first:
        model = training.accelerator.unwrap_model(training.model)
        weights = lora.save(model, Path(job.output), base=loaded.base)
        output.write(
            Adapter(
                path=Path(job.output).name,
                base_model=job.model.source,
                entries=len(entries),
                steps=len(taken),
                tokens=sum(done.tokens for done in taken),
                trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
                optimizer=name,
                loss=tuple(done.loss for done in taken),
                corpus=corpus,
                weights=weights,
                measured=AdapterMeasured(seconds=time.monotonic() - began),
            )
        )
    training.accelerator.end_training()


if __name__ == "__main__":
    run(main)
