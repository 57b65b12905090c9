"""What closes a ledger, a cycle and a run: end markers, summaries and provenance."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from orchestrator.records.record import Count, Digest, Fraction, Line, Record, Seconds


class Interval(Record):
    """A two-sided 95 % interval with the number of observations behind it."""

    low: float
    high: float
    n: Count


class CycleSummary(Line):
    """The numbers of one cycle: the counts of `states` add up to `generated`.

    `functional_duplicates` counts the admitted programs that are textually novel but functionally equal to an earlier
    one, among the `fingerprinted` ones: those textually novel ones whose fingerprint is known. Both rest on what
    candidates claim; summaries from before that lack them.
    """

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
    functional_duplicates: Count | None = None
    fingerprinted: Count | None = None
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
    """What defined and surrounded a run: enough to repeat it, and nothing secret.

    `model_hash` is the base model's content, or its commit at the hub; `components` are the versions of the engine's
    parts and of gVisor; `gpus` the names of the machine's; `prompt` the stored messages that candidates are sampled
    with. Lines from before these were recorded lack them. `sampler` is what candidates were drawn from; if that is
    the corpus, `model` and `device` are none.
    """

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
    sampler: Literal["model", "corpus"] = "model"
    model: str
    model_hash: str | None = None
    prompt: Digest | None = None
    device: str
    gpus: tuple[str, ...] = ()
    components: dict[str, str] = Field(default_factory=dict)
    threads: Count
    seed: Count
