"""The generation worker: samples completions of one chat prompt in batches and streams each row as it ends."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from llm.cache import give_room
from llm.errors import WorkerError
from llm.model import Loaded, attach, be_deterministic, load, prompt_ids
from llm.sampling import Sampler
from llm.stream import Output, read_job, run, say
from orchestrator.answer import is_complete, opens_reasoning
from orchestrator.records import Decoding, GenerationChunk, GenerationJob, Sampled

if TYPE_CHECKING:
    from collections.abc import Iterator

Finish = Literal["code", "eos", "length"]
TURN = 16  # tokens: what a chat template writes to open the answer is shorter


@dataclass(frozen=True)
class Prefix:
    """The prompt after one pass of the model: its key-value cache, and the logits (1, vocabulary) that follow it.

    `thinking` says that the chat template has opened the model's reasoning.
    """

    tokens: int
    cache: Any
    logits: torch.Tensor
    thinking: bool


@dataclass
class Row:
    """One completion while it is being written."""

    index: int
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    finish: Finish | None = None


def prefill(loaded: Loaded, ids: list[int]) -> Prefix:
    """Run the prompt through the model once; every row of every chunk starts from a copy of the result."""
    inputs = torch.tensor([ids], device=loaded.device)
    out = loaded.model(input_ids=inputs, use_cache=True, logits_to_keep=1)
    thinking = opens_reasoning(str(loaded.tokenizer.decode(ids[-TURN:], skip_special_tokens=False)))
    return Prefix(tokens=len(ids), cache=out.past_key_values, logits=out.logits[:, -1], thinking=thinking)


def sample(loaded: Loaded, prefix: Prefix, *, decoding: Decoding, chunk: GenerationChunk) -> Iterator[Sampled]:
    """Yield the chunk's completions as they end: at the fence that ends a program, at end of turn, or at the limit.

    A chunk depends on nothing but the prefix, the decoding, its size and its seed. Rows that have ended leave the
    batch. `tokens` counts what was generated, the end-of-turn token included.
    """
    began = time.monotonic()
    writer = Writer(loaded, decoding=decoding, prefix=prefix)
    sampler = Sampler(decoding, seed=chunk.seed, device=loaded.device)
    rows = [Row(index=index) for index in range(chunk.size)]
    cache = copy.deepcopy(prefix.cache)
    cache.batch_repeat_interleave(chunk.size)
    give_room(cache)
    logits = prefix.logits.repeat(chunk.size, 1)
    while rows:
        chosen = sampler.draw(logits)
        for row, token in zip(rows, chosen.tolist(), strict=True):
            writer.append(row, token)
            if row.finish is not None:
                yield Sampled(
                    chunk=chunk.index,
                    row=row.index,
                    text=row.text,
                    tokens=len(row.tokens),
                    finish=row.finish,
                    seconds=time.monotonic() - began,
                )
        live = [place for place, row in enumerate(rows) if row.finish is None]
        if len(live) < len(rows):
            rows = [rows[place] for place in live]
            keep = torch.tensor(live, dtype=torch.long, device=loaded.device)
            chosen = chosen[keep]
            if rows:
                cache.batch_select_indices(keep)
        if rows:
            out = loaded.model(input_ids=chosen[:, None], past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache, logits = out.past_key_values, out.logits[:, -1]


class Writer:
    """Appends tokens to rows and decides when a row has ended."""

    def __init__(self, loaded: Loaded, *, decoding: Decoding, prefix: Prefix) -> None:
        self._tokenizer = loaded.tokenizer
        self._ends = end_tokens(loaded)
        self._limit = token_limit(loaded, decoding=decoding, prompt_tokens=prefix.tokens)
        self._thinking = prefix.thinking
        self._marks: dict[int, bool] = {}

    def append(self, row: Row, token: int) -> None:
        """Add one token; set the row's text and finish if it was the last."""
        row.tokens.append(token)
        if token in self._ends:
            row.text, row.finish = self._decode(row.tokens[:-1]), "eos"
        elif self._has_mark(token) and is_complete(text := self._decode(row.tokens), thinking=self._thinking):
            row.text, row.finish = text, "code"
        elif len(row.tokens) >= self._limit:
            row.text, row.finish = self._decode(row.tokens), "length"

    def _has_mark(self, token: int) -> bool:
        """Only a token with a fence's mark can close one: decoding whole rows at every token would be quadratic."""
        if token not in self._marks:
            self._marks[token] = not {"`", "~"}.isdisjoint(self._decode([token]))
        return self._marks[token]

    def _decode(self, tokens: list[int]) -> str:
        text = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)


def end_tokens(loaded: Loaded) -> frozenset[int]:
    """Return every token id that ends the assistant's turn, by the model's generation config and its tokenizer."""
    configured = loaded.model.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in [*ids, loaded.tokenizer.eos_token_id] if token is not None)


def token_limit(loaded: Loaded, *, decoding: Decoding, prompt_tokens: int) -> int:
    """Return how many tokens a row may have: what the decoding allows, or what the model's context leaves.

    Raises:
        WorkerError: the prompt alone fills the context.
    """
    context = getattr(loaded.model.config, "max_position_embeddings", None)
    if context is None or prompt_tokens + decoding.max_new_tokens <= context:
        return decoding.max_new_tokens
    if prompt_tokens >= context:
        raise WorkerError(f"the prompt has {prompt_tokens} tokens, the model's context only {context}: shorten it")
    return int(context - prompt_tokens)


def main(arguments: list[str], output: Output) -> None:
    """Read a GenerationJob from stdin and write its Sampled records to `output`."""
    job = read_job(GenerationJob, arguments)
    be_deterministic()
    loaded = load(job.model, Path(job.cache))
    if job.adapter is not None:
        loaded = attach(loaded, Path(job.adapter), trainable=False)
    with torch.inference_mode():
        ids = prompt_ids(loaded.tokenizer, job.messages)
        limit = token_limit(loaded, decoding=job.decoding, prompt_tokens=len(ids))
        clipped = "" if limit == job.decoding.max_new_tokens else ", all that the model's context leaves"
        say(f"prompt: {len(ids)} tokens; {len(job.chunks)} chunks; at most {limit} new tokens a row{clipped}")
        prefix = prefill(loaded, ids)
        for chunk in job.chunks:
            began, tokens = time.monotonic(), 0
            for sampled in sample(loaded, prefix, decoding=job.decoding, chunk=chunk):
                tokens += sampled.tokens
                output.write(sampled)
            rate = tokens / (time.monotonic() - began)
            say(f"chunk {chunk.index}: {chunk.size} rows, {tokens} tokens, {rate:.0f} tokens/s")


if __name__ == "__main__":
    run(main)
