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
    top_k: Count = 50
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    max_new_tokens: Annotated[int, Field(ge=1)] = 2048


class ModelSpec(Record):
    """A causal LM: a Hugging Face id, a local folder, or a GGUF file, with how to hold it in memory."""

    source: str
    revision: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=1)] | None = None


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
