"""What data cards and model cards have in common: their YAML header, tables, and numbers with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.config import Config
from orchestrator.progress import Guessing
from orchestrator.records import CycleSummary, Provenance
from orchestrator.report.estimate import Estimate, percent
from orchestrator.run import RunFolder

SURROUNDINGS = {
    "git_revision": "git revision",
    "git_dirty": "uncommitted changes",
    "python": "Python",
    "image": "sandbox image",
    "engine": "Docker engine",
    "runtime": "container runtime",
    "device": "device of the language model",
    "model_hash": "base model's content",
    "dataset": "images, SHA-256",
}
CHANGED = "Some of it changed between resumptions of the run: all is named, in order."
UNTRUSTED = (
    "**The programs are untrusted code.** A language model wrote the generated ones and nobody reviewed them. They were"
    " run only inside locked-down single-use containers; do not import them anywhere else."
)
ONE_EPOCH = (
    "Accuracy is measured after one epoch under one protocol. It says how fast a network learns there, not how good it"
    " gets, and numbers under another protocol hash are not comparable with it."
)
TEST_SPLIT = (
    "The validation images are the data set's official test split, and programs were selected by their accuracy on it:"
    " it is no untouched test set for anything that is built on this."
)
HELD_OUT = "The validation images were held out of the training split; the official test split was never used."
TEXTUAL = (
    "Novelty is textual: a small MinHash estimate of the Jaccard similarity of token shingles. The exact similarity may"
    " lie beyond the bound, and a program that is new by it may compute the same function as an earlier one."
)


def header(values: Mapping[str, Any]) -> str:
    """Return the YAML block that a card begins with."""
    import yaml

    return f"---\n{yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)}---\n"


def page(head: Mapping[str, Any], *parts: str) -> str:
    """Return a whole card: its header, then `parts` with a blank line before each."""
    return header(head) + "".join(f"\n{part}\n" for part in parts)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; what would break it is escaped."""
    lines = [tuple(head), tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def cycles(summaries: Sequence[CycleSummary], *, none: str) -> str:
    """Return the numbers of each cycle as a table, beside chance and the majority class; `none` if there is none."""
    if not summaries:
        return none
    rows = [
        (
            one.cycle,
            one.generated,
            Estimate(one.valid_rate, one.valid_interval).text,
            Estimate(one.accuracy_mean, one.accuracy_interval).text,
            percent(one.accuracy_best),
            Estimate(one.above_rate, one.above_interval).text,
            one.admitted,
            one.rejected_duplicates,
            f"{one.corpus_before} -> {one.corpus_after}",
        )
        for one in summaries
    ]
    head = ("cycle", "generated", "valid", "mean accuracy", "best", "above threshold", "admitted", "duplicates")
    last = summaries[-1]
    return (
        f"{table((*head, 'corpus'), rows)}\n\nIntervals are 95 %: Wilson's for shares, Student's t for means."
        f" To compare with: {Guessing(last.chance, last.majority).text}."
    )


def protocol(config: Config) -> str:
    """Return everything that defines an accuracy of the run, with its hash."""
    rows = [(name, "all" if value is None else value) for name, value in config.protocol.model_dump().items()]
    return f"{table(('protocol', 'value'), rows)}\n\nIts hash is `{config.protocol.hash()}`."


def thresholds(config: Config) -> str:
    """Return what a valid candidate had to be to be admitted."""
    admission, novelty = config.admission, config.novelty
    accuracy = "any accuracy" if admission.threshold is None else f"accuracy above {admission.threshold:.1%}"
    new = (
        f"an estimated Jaccard similarity of at most {novelty.tau:g} to every program of the corpus and every earlier"
        f" {novelty.generation} one of its cycle ({novelty.shingle}-token shingles, {novelty.permutations} hashes)"
    )
    alike = new if novelty.enabled else "whatever its similarity to earlier ones"
    return f"A valid program was admitted with {accuracy} and {alike}."


def surroundings(run: RunFolder) -> str:
    """Return with what the run was made, as its provenance has it, whose lines are changes of the surroundings."""
    records = run.provenance.read()
    if not records:
        return "The run has no line of provenance: nothing has been evaluated in it."
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for name, value in _facts(record):
            if value is not None:
                found.setdefault(name, {})[str(value)] = None
    rows = [(name, "; then ".join(values)) for name, values in found.items()]
    changed = "" if len(records) == 1 else f"\n\n{CHANGED}"
    return table(("made with", ""), rows) + changed


def limits(config: Config) -> list[str]:
    """Return what nobody should take the run's numbers and programs for."""
    return [UNTRUSTED, ONE_EPOCH, TEST_SPLIT if config.protocol.split == "official" else HELD_OUT, TEXTUAL]


def bullets(lines: Iterable[str]) -> str:
    """Return a Markdown list."""
    return "\n".join(f"- {line}" for line in lines)


def base_model(config: Config) -> str:
    """Return the base model's name as it is given away: as configured, and of a path only its last part."""
    source = config.llm.model.source
    return Path(source).name if source.startswith((".", "/", "~")) else source


def _facts(record: Provenance) -> list[tuple[str, object]]:
    packages = ", ".join(f"{name} {version}" for name, version in record.packages.items())
    plain = record.model_dump(mode="json")
    plain["git_dirty"] = {True: "yes", False: "no"}.get(plain["git_dirty"])
    return [*((shown, plain[name]) for name, shown in SURROUNDINGS.items()), ("packages", packages)]


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())
