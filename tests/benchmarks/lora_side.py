"""Fine-tunes with TRL's SFTTrainer as the project's worker would, in the same order; prints what it took as JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from llm import schedule
from llm.batches import Example, epoch
from llm.model import load
from orchestrator.records import Entry, FinetuneJob


class Watch(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Takes the time of training alone, and the loss of each step."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0
        self.losses: list[float] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.began = time.monotonic()

    def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
        if "loss" in logs:
            self.losses.append(float(logs["loss"]))

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.ended = time.monotonic()


def dataset(job: FinetuneJob) -> Dataset:
    """Return the pairs in the order of the worker's first epoch, as prompt and completion."""
    lines = Path(job.corpus).read_text(encoding="utf-8").splitlines()
    chats = {entry.entry_id: entry.messages for entry in map(Entry.model_validate_json, lines)}
    blank = [Example(entry_id=name, ids=(), start=0) for name in chats]
    order = [one.entry_id for batch in epoch(blank, batch_size=1, seed=job.seed, number=0) for one in batch]
    turns = {name: [message.model_dump() for message in messages] for name, messages in chats.items()}
    return Dataset.from_list([{"prompt": turns[name][:-1], "completion": turns[name][-1:]} for name in order])


def build(job: FinetuneJob, watch: Watch) -> SFTTrainer:
    """Return the trainer, with the worker's own learning rates."""
    loaded = load(job.model, Path(job.cache))
    sft, spec = job.sft, job.lora
    pairs = dataset(job)
    arguments = SFTConfig(
        output_dir=job.output,
        use_cpu=True,
        bf16=False,
        num_train_epochs=sft.epochs,
        per_device_train_batch_size=sft.batch_size,
        gradient_accumulation_steps=sft.accumulation,
        gradient_checkpointing=False,
        train_sampling_strategy="sequential",
        learning_rate=sft.learning_rate,
        weight_decay=sft.weight_decay,
        max_grad_norm=sft.max_grad_norm,
        optim="adamw_torch",
        completion_only_loss=True,
        max_length=sft.max_length,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        seed=job.seed,
        disable_tqdm=True,
    )
    adapter = LoraConfig(
        r=spec.r,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        target_modules=list(spec.targets),
        task_type="CAUSAL_LM",
    )
    trainer = SFTTrainer(
        model=loaded.model,
        args=arguments,
        train_dataset=pairs,
        processing_class=loaded.tokenizer,
        peft_config=adapter,
        callbacks=[watch],
    )
    steps = -(-len(pairs) // (sft.batch_size * sft.accumulation)) * sft.epochs
    warmup = schedule.warmup(sft.warmup_steps, steps=steps)
    trainer.create_optimizer()
    rate = lambda number: schedule.factor(min(number, steps - 1), warmup=warmup, steps=steps)  # noqa: E731 - a formula
    trainer.lr_scheduler = LambdaLR(trainer.optimizer, rate)
    return trainer


def main() -> None:
    """Read the job from stdin and train."""
    stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    job = FinetuneJob.model_validate_json(sys.stdin.read())
    watch = Watch()
    trainer = build(job, watch)
    learnt = sum(
        sum(row.get("completion_mask") or (label != -100 for label in row["labels"])) for row in trainer.train_dataset
    )
    trainer.train()
    said = {
        "seconds": watch.ended - watch.began,
        "learnt": learnt * job.sft.epochs,
        "losses": watch.losses,
        "threads": torch.get_num_threads(),
        "columns": trainer.train_dataset.column_names,
    }
    stdout.write(json.dumps(said) + "\n")
    stdout.flush()


if __name__ == "__main__":
    main()
