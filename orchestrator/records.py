"""The frozen records that stages hand to each other, as they stand in the ledgers."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA: Literal[1] = 1

STAGES = ("extract", "parse", "contract", "import", "instantiate", "forward", "train", "predict")
Stage = Literal["extract", "parse", "contract", "import", "instantiate", "forward", "train", "predict"]

FailedState = Literal[
    "no_code",
    "syntax_error",
    "contract",
    "failed",
    "timeout",
    "out_of_memory",
    "gpu_out_of_memory",
    "killed",
    "over_budget",
    "quarantined",
]
VerdictState = Literal[FailedState, "passed"]
Decision = Literal["below_threshold", "duplicate", "admitted", "surplus"]

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0.0)]


class Record(BaseModel):
    """A frozen fact: strict types, no unknown field, no NaN."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Line(Record):
    """A record that is one line of a ledger; `schema_version` lets old runs stay readable."""

    schema_version: Literal[1] = SCHEMA


def canonical(value: Any) -> bytes:
    """Return the one JSON text of `value` (sorted keys, no spaces, UTF-8) that digests are taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(content: bytes) -> str:
    """Return the SHA-256 of `content` in hexadecimal: the name under which it is stored."""
    return hashlib.sha256(content).hexdigest()


def derived_seed(*parts: str | int) -> int:
    """Return a 63-bit seed that depends on every part; the same parts give the same seed everywhere."""
    return int.from_bytes(hashlib.sha256(canonical(list(parts))).digest()[:8], "big") >> 1


# --- generation -------------------------------------------------------------------------------------------------


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


# --- candidates -------------------------------------------------------------------------------------------------


class Refusal(Record):
    """Why a candidate ended before anything of it was executed."""

    state: Literal["no_code", "syntax_error", "contract", "killed", "timeout", "out_of_memory"]
    stage: Literal["extract", "parse", "contract"]
    cause: str


class Program(Record):
    """What the parser container says of a source text: it parsed, and this is what would run."""

    runs: Digest
    completed: tuple[str, ...]
    imports: tuple[str, ...]
    hyperparameters: tuple[str, ...]
    tokens: Count
    shingles: Digest


class Candidate(Line):
    """One program to evaluate: `source` as the model wrote it; `program.runs` as it is executed."""

    kind: Literal["candidate"] = "candidate"
    candidate_id: str
    source: Digest | None
    refusal: Refusal | None = None
    program: Program | None = None


# --- evaluation -------------------------------------------------------------------------------------------------


class Limits(Record):
    """Limits of one container, in bytes, counts and CPUs."""

    memory: Count = 4 << 30
    pids: Count = 256
    cpus: Annotated[float, Field(gt=0)] = 1.0
    nofile: Count = 1024
    tmp: Count = 256 << 20
    tmp_inodes: Count = 20_000
    shm: Count = 256 << 20


class Execution(Record):
    """What the host saw of one container by itself: facts, which outrank every claim."""

    container_id: str
    ended_by: Literal["reply", "deadline", "flood", "wire", "death"]
    stage: Stage
    cause: str | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    seconds: dict[str, Seconds]
    stage_cpu_seconds: dict[str, Seconds] = Field(default_factory=dict)
    peak_memory: Count | None = None
    cpu_seconds: Seconds | None = None
    stdout: Digest | None = None
    stderr: Digest | None = None
    log_bytes: Count = 0
    truncated: bool = False
    limits: dict[str, int | float | str] = Field(default_factory=dict)


class Death(Record):
    """The supervisor's claim about how the candidate's process ended; `ordered` where the supervisor ended it."""

    ordered: bool
    flood: bool
    broken: str | None
    signal: int | None
    exit_code: int | None
    log_bytes: Count


class StageFailure(Record):
    """The candidate process's claim about the exception that ended it."""

    stage: Stage
    kind: str
    text: str
    where: list[str]
    memory: bool
    gpu_memory: bool


class Reply(Record):
    """What the container said: claims, which may cost the candidate but never earn it anything."""

    failure: StageFailure | None = None
    parameters: Count | None = None
    batches: Count | None = None
    samples: Count | None = None
    passes: Count | None = None
    death: Death | None = None
    predictions: bytes | None = None


class Claimed(Record):
    """The claims that are kept with a verdict, for people to read beside what was measured."""

    failure: StageFailure | None = None
    parameters: Count | None = None
    batches: Count | None = None
    samples: Count | None = None
    passes: Count | None = None


class Measured(Record):
    """What the host measured of one evaluation; the only part of a verdict that differs between equal runs."""

    seconds: dict[str, Seconds] = Field(default_factory=dict)
    stage_cpu_seconds: dict[str, Seconds] = Field(default_factory=dict)
    training_cost: Seconds | None = None
    flags: tuple[str, ...] = ()
    peak_memory: Count | None = None
    cpu_seconds: Seconds | None = None
    container_id: str | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    log_bytes: Count = 0
    truncated: bool = False
    stdout: Digest | None = None
    stderr: Digest | None = None
    limits: dict[str, int | float | str] = Field(default_factory=dict)


class Passed(Record):
    """A valid candidate: trained, N predictions in range."""

    accuracy: Fraction


class Failed(Record):
    """A candidate that got no accuracy, with where and why."""

    state: FailedState
    stage: Stage
    cause: str


class Verdict(Line):
    """The host's judgement of one candidate; `accuracy` is null unless the state is `passed`."""

    kind: Literal["verdict"] = "verdict"
    candidate_id: str
    state: VerdictState
    stage: Stage
    cause: str | None
    accuracy: Fraction | None
    predictions: Digest | None
    protocol: Digest
    environment: Digest
    claimed: Claimed
    measured: Measured


class Evaluation(Record):
    """What the evaluator gives back for one submission: the candidate as it was understood, and its verdict."""

    candidate: Candidate
    verdict: Verdict


# --- novelty and corpus -----------------------------------------------------------------------------------------


class Neighbour(Record):
    """The nearest earlier program: the MinHash estimate decides, the exact Jaccard index stands beside it."""

    entry_id: str
    estimate: Fraction
    exact: Fraction


class Novelty(Line):
    """What became of one valid candidate, with its nearest neighbours in the corpus and in its own cycle."""

    kind: Literal["novelty"] = "novelty"
    candidate_id: str
    accuracy: Fraction
    train: Neighbour | None
    generation: Neighbour | None
    decision: Decision
    rejection_count: Count | None = None


class Entry(Line):
    """One line of the corpus: a chat pair with where its program came from and how it scored."""

    kind: Literal["entry"] = "entry"
    entry_id: str
    origin: str
    task: str
    source: Digest
    shingles: Digest
    accuracy: Fraction | None
    protocol: Digest | None
    messages: tuple[Message, ...]


# --- fine-tuning ------------------------------------------------------------------------------------------------


class LoraSpec(Record):
    """LoRA hyperparameters; the defaults are the paper's (Appendix J), alpha the reference implementation's."""

    r: Annotated[int, Field(ge=1)] = 32
    alpha: Annotated[int, Field(ge=1)] = 32
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj", "gate_proj")
    layers: tuple[int, int] | None = (0, 23)


class SftSpec(Record):
    """Supervised fine-tuning hyperparameters; the defaults are the paper's (Appendix J)."""

    epochs: Annotated[int, Field(ge=1)] = 5
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-5
    batch_size: Annotated[int, Field(ge=1)] = 1
    accumulation: Annotated[int, Field(ge=1)] = 4
    warmup_steps: Count = 20
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    max_grad_norm: Annotated[float, Field(gt=0.0)] = 1.0
    optimizer: Literal["paged_adamw_8bit", "adamw"] = "paged_adamw_8bit"
    loss_on: Literal["assistant", "all"] = "assistant"
    max_length: Annotated[int, Field(ge=16)] = 4096
    gradient_checkpointing: bool = False


class FinetuneJob(Record):
    """What one run of the fine-tuning worker is asked for; `corpus` is a JSON Lines file of `Entry` records."""

    model: ModelSpec
    adapter: str | None
    corpus: str
    lora: LoraSpec
    sft: SftSpec
    seed: Count
    output: str
    cache: str


class FinetuneStep(Record):
    """One optimizer step as the worker streams it."""

    step: Count
    steps: Count
    loss: float
    learning_rate: float
    tokens: Count
    seconds: Seconds


class AdapterMeasured(Record):
    """Measured quantities of one fine-tuning run."""

    seconds: Seconds


class Adapter(Line):
    """One fine-tuned LoRA adapter, saved in PEFT's own format under `path` (relative to the cycle's folder)."""

    kind: Literal["adapter"] = "adapter"
    path: str
    base_model: str
    entries: Count
    steps: Count
    tokens: Count
    trainable_parameters: Count
    optimizer: str
    loss: tuple[float, ...]
    corpus: Digest
    weights: Digest
    measured: AdapterMeasured


# --- summaries --------------------------------------------------------------------------------------------------


class Interval(Record):
    """A two-sided 95 % interval with the number of observations behind it."""

    low: float
    high: float
    n: Count


class CycleSummary(Line):
    """The numbers of one cycle: the counts of `states` add up to `generated`."""

    kind: Literal["summary"] = "summary"
    cycle: Count
    generated: Count
    states: dict[str, Count]
    valid: Count
    valid_rate: Fraction | None
    valid_interval: Interval | None
    accuracy_mean: Fraction | None
    accuracy_median: Fraction | None
    accuracy_best: Fraction | None
    accuracy_std: float | None
    accuracy_interval: Interval | None
    above_threshold: Count
    above_rate: Fraction | None
    above_interval: Interval | None
    admitted: Count
    rejected_duplicates: Count
    corpus_before: Count
    corpus_after: Count
    chance: Fraction
    majority: Fraction
    threshold: Fraction | None
    protocol: Digest
    measured: dict[str, Seconds]


class End(Line):
    """The last line of a whole ledger: it holds `records` lines before this one."""

    kind: Literal["end"] = "end"
    records: Count


class Provenance(Line):
    """What defined and surrounded a run: enough to repeat it, and nothing secret."""

    kind: Literal["provenance"] = "provenance"
    config: Digest
    protocol: Digest
    git_revision: str | None
    git_dirty: bool | None
    packages: dict[str, str]
    python: str
    engine: str | None
    runtime: str | None
    image: str | None
    seccomp: Digest | None
    dataset: Digest
    corpus: Digest
    model: str
    device: str
    threads: Count
    seed: Count


GenerationJob.model_rebuild()
