"""A program as it was understood before anything of it was executed."""

from __future__ import annotations

from typing import Literal

from orchestrator.records.record import Count, Digest, Line, Record


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


def candidate_id(cycle: int, index: int) -> str:
    """Return the name of candidate `index` (from 0) of `cycle` (from 1)."""
    return f"c{cycle:03d}-{index:04d}"
