"""The frozen records that stages hand to each other, as they stand in the ledgers."""

from __future__ import annotations

from orchestrator.records.admission import Rule, Tally
from orchestrator.records.candidate import Candidate, Program, Refusal
from orchestrator.records.corpus import Entry, Neighbour, Novelty
from orchestrator.records.counting import Counted, CountJob
from orchestrator.records.evaluation import (
    Claimed,
    Death,
    Evaluation,
    Execution,
    Failed,
    Limits,
    Measured,
    Passed,
    Reply,
    StageFailure,
    Verdict,
)
from orchestrator.records.finetuning import Adapter, AdapterMeasured, FinetuneJob, FinetuneStep, LoraSpec, SftSpec
from orchestrator.records.generation import (
    Completion,
    CompletionMeasured,
    Decoding,
    GenerationChunk,
    GenerationJob,
    Message,
    ModelSpec,
    Sampled,
)
from orchestrator.records.journal import GENESIS, Event, Occurrence, Recorder, unrecorded
from orchestrator.records.record import (
    SCHEMA,
    Count,
    Digest,
    Fraction,
    Line,
    Record,
    Seconds,
    canonical,
    derived_seed,
    digest,
)
from orchestrator.records.states import STAGES, Decision, FailedState, Stage, VerdictState
from orchestrator.records.summary import CycleSummary, End, Interval, Provenance

__all__ = [
    "GENESIS",
    "SCHEMA",
    "STAGES",
    "Adapter",
    "AdapterMeasured",
    "Candidate",
    "Claimed",
    "Completion",
    "CompletionMeasured",
    "Count",
    "CountJob",
    "Counted",
    "CycleSummary",
    "Death",
    "Decision",
    "Decoding",
    "Digest",
    "End",
    "Entry",
    "Evaluation",
    "Event",
    "Execution",
    "Failed",
    "FailedState",
    "FinetuneJob",
    "FinetuneStep",
    "Fraction",
    "GenerationChunk",
    "GenerationJob",
    "Interval",
    "Limits",
    "Line",
    "LoraSpec",
    "Measured",
    "Message",
    "ModelSpec",
    "Neighbour",
    "Novelty",
    "Occurrence",
    "Passed",
    "Program",
    "Provenance",
    "Record",
    "Recorder",
    "Refusal",
    "Reply",
    "Rule",
    "Sampled",
    "Seconds",
    "SftSpec",
    "Stage",
    "StageFailure",
    "Tally",
    "Verdict",
    "VerdictState",
    "canonical",
    "derived_seed",
    "digest",
    "unrecorded",
]
