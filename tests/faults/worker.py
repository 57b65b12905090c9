"""A stand-in for both workers of the language model: it speaks their protocol, needs no torch, and can be told to die.

    python -m tests.faults.worker generate|finetune [--deaths FILE TIMES AFTER]

With `--deaths` the first TIMES workers kill themselves after AFTER records; FILE counts them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from llm.stream import LIFELINE, Output, read_job, run
from orchestrator.records import (
    Adapter,
    AdapterMeasured,
    FinetuneJob,
    FinetuneStep,
    GenerationJob,
    Record,
    Sampled,
    digest,
)
from tests.faults.programs import CHUNK, text

STEPS = 3
WEIGHTS = 4096  # bytes
CYCLE = re.compile(r"cycle-(\d+)")


def generated(job: GenerationJob) -> Iterator[Record]:
    """Yield the rows of every chunk, the last row first; the adapter's path tells the cycle."""
    found = CYCLE.search(job.adapter or "")
    cycle = int(found[1]) if found else 0
    for chunk in job.chunks:
        for row in reversed(range(chunk.size)):
            words = text(cycle, CHUNK * chunk.index + row)
            yield Sampled(
                chunk=chunk.index, row=row, text=words, tokens=len(words.split()), finish="eos", seconds=0.001
            )


def finetuned(job: FinetuneJob) -> Iterator[Record]:
    """Yield steps and the adapter, whose weights depend on the corpus and the seed alone."""
    content = Path(job.corpus).read_bytes()
    corpus = digest(content)
    for step in range(1, STEPS + 1):
        yield FinetuneStep(step=step, steps=STEPS, loss=1 / step, learning_rate=0.1, tokens=10, seconds=0.001 * step)
    output = Path(job.output)
    scratch = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}-"))
    weights = hashlib.shake_256(f"{corpus} {job.seed}".encode()).digest(WEIGHTS)
    (scratch / "adapter_model.safetensors").write_bytes(weights)
    (scratch / "adapter_config.json").write_text('{"peft_type": "LORA"}\n')
    yield FinetuneStep(step=STEPS, steps=STEPS, loss=1 / STEPS, learning_rate=0.0, tokens=10, seconds=0.01)
    shutil.rmtree(output, ignore_errors=True)
    scratch.rename(output)
    yield Adapter(
        path=output.name,
        base_model=job.model.source,
        entries=content.count(b"\n"),
        steps=STEPS,
        tokens=10 * STEPS,
        trainable_parameters=WEIGHTS // 4,
        optimizer="none",
        loss=(1.0, 0.5),
        corpus=corpus,
        weights=digest(weights),
        measured=AdapterMeasured(seconds=0.01),
    )


def mortal(records: Iterator[Record], arguments: list[str]) -> Iterator[Record]:
    """Yield `records`, and die on the way where `arguments` say so."""
    after = None
    if arguments:
        file, times = Path(arguments[1]), int(arguments[2])
        before = len(file.read_bytes()) if file.exists() else 0
        if before < times:
            with file.open("ab") as counted:
                counted.write(b".")
            after = int(arguments[3])
    for number, record in enumerate(records):
        if number == after:
            os.kill(os.getpid(), signal.SIGKILL)
        yield record


def main(arguments: list[str], output: Output) -> None:
    """Answer one job as the worker named first would."""
    if arguments[0] == "generate":
        records = generated(read_job(GenerationJob, [LIFELINE]))
    else:
        records = finetuned(read_job(FinetuneJob, [LIFELINE]))
    for record in mortal(records, arguments[1:]):
        output.write(record)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # reason: a text stream here
    run(main)
