"""Generates one chunk, with the project's worker or with transformers' `generate`; prints what it took as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from llm.generate import prefill, sample
from llm.model import Loaded, be_deterministic, load, prompt_ids
from orchestrator.records import GenerationJob


def worker(loaded: Loaded, ids: list[int], job: GenerationJob) -> list[int]:
    """Return the tokens of each row, generated as the worker does."""
    prefix = prefill(loaded, ids)
    return [row.tokens for row in sample(loaded, prefix, decoding=job.decoding, chunk=job.chunks[0])]


def batch(loaded: Loaded, ids: list[int], job: GenerationJob, *, rows: int) -> list[int]:
    """Return the tokens of each row of one call of `generate`, up to and with the end of turn."""
    decoding = job.decoding
    inputs = torch.tensor([ids])
    end = loaded.tokenizer.eos_token_id
    out = loaded.model.generate(
        input_ids=inputs,
        attention_mask=torch.ones_like(inputs),
        do_sample=True,
        temperature=decoding.temperature,
        top_k=decoding.top_k,
        top_p=decoding.top_p,
        max_new_tokens=decoding.max_new_tokens,
        num_return_sequences=rows,
        pad_token_id=end,
    )
    new: Any = out[:, len(ids) :]
    return [row.index(end) + 1 if end in row else len(row) for row in new.tolist()]


def main(name: str) -> None:
    """Read the job from stdin, load the model, and generate."""
    job = GenerationJob.model_validate_json(sys.stdin.read())
    be_deterministic()
    loaded = load(job.model, Path(job.cache))
    size = job.chunks[0].size
    with torch.inference_mode():
        ids = prompt_ids(loaded.tokenizer, job.messages)
        torch.manual_seed(job.chunks[0].seed)
        began = time.monotonic()
        if name == "worker":
            rows = worker(loaded, ids, job)
        elif name == "batch":
            rows = batch(loaded, ids, job, rows=size)
        else:
            rows = [batch(loaded, ids, job, rows=1)[0] for _ in range(size)]
        seconds = time.monotonic() - began
    said = {"seconds": seconds, "tokens": sum(rows), "rows": len(rows), "lengths": sorted(rows)}
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
