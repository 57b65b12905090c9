"""The data card of an exported corpus, written from the run's own ledgers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

from orchestrator.records import Entry
from orchestrator.report.export import cards
from orchestrator.report.export.corpus import CHAT, COLUMNS, JSON_LINES, NUMBER, WHOLE, Corpus
from orchestrator.report.export.licences import Licence
from orchestrator.run import RunFolder
from orchestrator.run.history import guessing
from orchestrator.run.provenance import corpus_hash

LICENCES = "licences"
FEATURES = {WHOLE: "int64", NUMBER: "float64"}
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
COMPLETED = (
    " Fixed code for the parts of the interface that a program lacks was added before it ran; `source` is without it."
)
SEEDS_ALONE = "No candidate of a cycle is in it, and so no cycle's numbers belong to it."
GENERATED = (
    "Programs that cycles added were written by the language model; nobody has stated a licence for them here, and they"
    " may resemble what it was trained on."
)
USE = (
    "For studying how language models design image classifiers, and for fine-tuning one on chat pairs: `messages` is in"
    " the format of chat templates. Not for running the programs, and not for ranking architectures beyond one epoch."
)


def card(run: RunFolder, corpus: Corpus, *, licence: Licence, files: Sequence[str]) -> str:
    """Return README.md of the export: a header that `datasets.load_dataset` reads, and what a reader must know."""
    config, entries = run.config, corpus.entries
    summaries = [one for number in range(1, corpus.cycles + 1) for one in run.cycle(number).summary.read()]
    return cards.page(
        _header(run.name, entries, files),
        f"# The corpus of the run {run.name}",
        f"{len(entries):,} chat pairs of {len({entry.source for entry in entries}):,} programs for"
        f" {config.prompt.task}: {_extent(corpus)}. SHA-256 of the entries in order: `{corpus_hash(entries)}`.",
        "## What it holds",
        cards.table(("origin", "entries", "programs", "with accuracy", "mean accuracy"), _origins(corpus)),
        *_compared(run),
        cards.table(("column", "type", "meaning"), [(one.name, one.kind, one.meaning) for one in COLUMNS]),
        "## How it was made",
        _made(run),
        f"{cards.thresholds(config)} {_disagreeing(run, corpus)}".strip(),
        cards.cycles(summaries, none=SEEDS_ALONE),
        cards.protocol(config),
        cards.surroundings(run),
        "## Intended use",
        USE,
        "## Limitations",
        cards.bullets(cards.limits(config)),
        "## Licences",
        _licences(run, entries, licence),
    )


def seeded(run: RunFolder, entries: Sequence[Entry]) -> bool:
    """Whether programs of the collection that the configuration names stand among `entries`."""
    return any(entry.origin.startswith(f"{run.config.corpus.lemur}:") for entry in entries)


def _header(name: str, entries: Sequence[Entry], files: Sequence[str]) -> dict[str, Any]:
    count = len(entries)
    path = "data/train-*.parquet" if any(file != JSON_LINES for file in files) else JSON_LINES
    return {
        "pretty_name": f"Neural network designs of the run {name}",
        "license": "other",
        "license_name": "mixed",
        "license_link": "README.md",
        "task_categories": ["text-generation"],
        "tags": ["code", "neural-architecture-design", "synthetic"],
        "size_categories": [next((size for limit, size in SIZES if count < limit), "n>1M")],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": path}]}],
        "dataset_info": {"config_name": "default", "features": [_feature(one.name, one.kind) for one in COLUMNS]},
    }


def _feature(name: str, kind: str) -> dict[str, Any]:
    if kind == CHAT:
        return {"name": name, "list": [{"name": part, "dtype": "string"} for part in ("role", "content")]}
    return {"name": name, "dtype": FEATURES.get(kind, "string")}


def _extent(corpus: Corpus) -> str:
    if corpus.cycles == 0:
        return "the seed corpus alone, before any cycle"
    return (
        "a seed corpus, and what a closed loop of generation, one-epoch training in a sandbox and admission added to it"
        f" up to cycle {corpus.cycles}"
    )


def _origins(corpus: Corpus) -> Iterator[tuple[object, ...]]:
    seeds: dict[str, list[Entry]] = {}
    for entry in corpus.parts[0]:
        seeds.setdefault(entry.origin.partition(":")[0], []).append(entry)
    parts = [(f"seed corpus, {name}", part) for name, part in seeds.items()]
    parts += [(f"cycle {number}", list(part)) for number, part in enumerate(corpus.parts[1:], start=1)]
    for name, part in [*parts, ("all", corpus.entries)]:
        scores = {entry.source: entry.accuracy for entry in part if entry.accuracy is not None}
        mean = f"{fmean(scores.values()):.1%}" if scores else "-"
        yield name, len(part), len({entry.source for entry in part}), sum(e.accuracy is not None for e in part), mean


def _compared(run: RunFolder) -> list[str]:
    guess = guessing(run)
    return [] if guess is None else [f"Accuracies are to be compared with {guess.text}."]


def _made(run: RunFolder) -> str:
    llm = run.config.llm
    tuned = "was fine-tuned with LoRA on the corpus as it then stood" if llm.iterate else "was fine-tuned once"
    tuned = tuned if llm.finetune else "was used as it is"
    writer = f"the base model `{cards.base_model(run.config)}` {tuned}, then wrote candidates for one fixed prompt"
    drawn = "candidates were drawn from the corpus itself, as a baseline without a language model"
    return (
        f"In each cycle {writer if llm.sampler == 'model' else drawn}. Each was parsed and trained for one epoch in its"
        " own container, without a network; its predictions were scored outside, against labels that never entered it."
        " The seed corpus is curated from a published collection; of its programs only those that were measured under"
        " this protocol have an accuracy here."
        + (COMPLETED if run.config.completion else "")
        + ("" if llm.iterate else " The run never trained on what it admitted; the admitted programs stand here too.")
    )


def _disagreeing(run: RunFolder, corpus: Corpus) -> str:
    """Say of how many admitted programs the exact similarity is beyond the bound that its estimate kept."""
    if not run.config.novelty.enabled:
        return ""
    admitted = [corpus.novelty[entry.entry_id] for part in corpus.parts[1:] for entry in part]
    if not admitted:
        return ""
    near = [[one.exact for one in (record.train, record.generation) if one is not None] for record in admitted]
    beyond = sum(max(exact, default=0.0) > run.config.novelty.tau for exact in near)
    return f"The exact similarity of {beyond} of the {len(admitted)} admitted programs is above that bound."


def _licences(run: RunFolder, entries: Sequence[Entry], licence: Licence) -> str:
    lines = [GENERATED] if run.config.llm.sampler == "model" else []
    if seeded(run, entries):
        name = run.config.corpus.lemur
        stated = f"states: {licence.words}" if licence.words else "states none that was found"
        kept = (
            f"The texts of the licences that it carries are in `{LICENCES}/`; they say which programs each covers."
            if licence.texts
            else "Its licence texts are missing here: put them beside this file before you give it away."
        )
        lines.insert(0, f"Seed programs come from {name}; {licence.where} {stated}. {kept}")
    else:
        lines.insert(0, "The run does not record a published collection as the origin of its seed programs.")
    images = f"No image of {run.config.protocol.dataset} is in this data set; accuracies alone come from it."
    return cards.bullets([*lines, images])
