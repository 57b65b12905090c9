"""Generates completions with llama.cpp from the very GGUF file, one by one or all in one batch; prints what it took.

It runs in the peer's environment. A row ends at end of turn, as with transformers; rows of a batch share the prompt.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import Any

import llama_cpp as llama

from llm.count import load_tokenizer
from llm.model import prompt_ids
from orchestrator.records import GenerationJob


@dataclass(frozen=True)
class Model:
    """A model and a context for so many rows at once."""

    context: Any
    vocabulary: Any
    job: GenerationJob
    ids: list[int]

    def generate(self, rows: int, *, seed: int) -> list[int]:
        """Return how many tokens each of `rows` completions has; the prompt is computed once for all of them."""
        limit = self.job.decoding.max_new_tokens
        samplers = [self._sampler(seed + row) for row in range(rows)]
        memory = llama.llama_get_memory(self.context)
        llama.llama_memory_seq_rm(memory, -1, -1, -1)
        self._decode([(token, place, 0) for place, token in enumerate(self.ids)], last_only=True)
        for row in range(1, rows):
            llama.llama_memory_seq_cp(memory, 0, row, -1, -1)
        lengths = [0] * rows
        places = {row: len(self.ids) - 1 for row in range(rows)}  # of a row's logits in the batch before
        while places:
            taken = {row: llama.llama_sampler_sample(samplers[row], self.context, at) for row, at in places.items()}
            for row in taken:
                lengths[row] += 1
            going = {
                row: token
                for row, token in taken.items()
                if lengths[row] < limit and not llama.llama_vocab_is_eog(self.vocabulary, token)
            }
            if going:
                before = len(self.ids) - 1
                self._decode([(token, before + lengths[row], row) for row, token in going.items()], last_only=False)
            places = {row: number for number, row in enumerate(going)}
        for sampler in samplers:
            llama.llama_sampler_free(sampler)
        return lengths

    def _sampler(self, seed: int) -> Any:
        decoding = self.job.decoding
        chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        for part in (
            llama.llama_sampler_init_top_k(decoding.top_k),
            llama.llama_sampler_init_top_p(decoding.top_p, 1),
            llama.llama_sampler_init_temp(decoding.temperature),
            llama.llama_sampler_init_dist(seed),
        ):
            llama.llama_sampler_chain_add(chain, part)
        return chain

    def _decode(self, tokens: list[tuple[int, int, int]], *, last_only: bool) -> None:
        """Compute `tokens`, each with its place in its row and its row."""
        batch = llama.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for number, (token, place, row) in enumerate(tokens):
            batch.token[number], batch.pos[number] = token, place
            batch.n_seq_id[number], batch.seq_id[number][0] = 1, row
            batch.logits[number] = not last_only or number == len(tokens) - 1
        failed = llama.llama_decode(self.context, batch)
        llama.llama_batch_free(batch)
        if failed:
            raise RuntimeError(f"llama_decode returned {failed}")


def load(job: GenerationJob, *, rows: int) -> Model:
    """Load the GGUF file, with a context for `rows` completions after one prompt."""
    ids = prompt_ids(load_tokenizer(job.model), job.messages)
    llama.llama_backend_init()
    weights = llama.llama_model_load_from_file(job.model.source.encode(), llama.llama_model_default_params())
    settings = llama.llama_context_default_params()
    settings.n_ctx = len(ids) + rows * job.decoding.max_new_tokens
    settings.n_batch = settings.n_ubatch = len(ids) + rows
    settings.n_seq_max, settings.kv_unified = rows, True
    settings.n_threads = settings.n_threads_batch = job.model.threads or 1
    context = llama.llama_init_from_model(weights, settings)
    return Model(context, llama.llama_model_get_vocab(weights), job, ids)


def main(name: str) -> None:
    """Read the job from stdin, load the model, and generate."""
    job = GenerationJob.model_validate_json(sys.stdin.read())
    size, seed = job.chunks[0].size, job.chunks[0].seed
    alone = name == "one_by_one"
    model = load(job, rows=1 if alone else size)
    began = time.monotonic()
    if alone:
        rows = [model.generate(1, seed=seed + number)[0] for number in range(size)]
    else:
        rows = model.generate(size, seed=seed)
    seconds = time.monotonic() - began
    said = {"seconds": seconds, "tokens": sum(rows), "rows": len(rows), "lengths": sorted(rows)}
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
