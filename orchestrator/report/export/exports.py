"""Whole exports: what is taken out of a run, with a card and licences, in a folder that appears whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.report.export import adapter, cards, corpus, corpus_card, licences
from orchestrator.report.export.folder import new_folder
from orchestrator.run import RunFolder

FORMATS = ("parquet", "jsonl")


@dataclass(frozen=True)
class ExportedCorpus:
    """What was exported: how many entries, up to the end of which cycle, and whose licence texts are missing."""

    entries: int
    cycles: int
    unlicensed: str | None


def export_corpus(
    run: RunFolder, out: Path, *, cache: Path, cycle: int | None = None, formats: tuple[str, ...] = FORMATS
) -> ExportedCorpus:
    """Write the corpus of `run` at the end of `cycle`, or of its last complete one, to the new folder `out`.

    `datasets.load_dataset` reads it. The licence texts of the seed corpus come out of its wheel in `cache`.

    Raises:
        ConfigError: that corpus is not complete yet, or `out` is not empty.
        OSError: the disk refuses; nothing stays behind.
    """
    exported = corpus.corpus_of(run, cycle=cycle)
    licence = licences.of_wheel(run.config.corpus.lemur, cache)
    seeded = corpus_card.seeded(run, exported.entries)
    texts = licence.texts if seeded else {}
    with new_folder(out) as partial:
        files = corpus.write(run, exported, partial, formats=formats)
        card = corpus_card.card(run, exported, licence=licence, files=files)
        (partial / "README.md").write_text(card, encoding="utf-8")
        for name, text in texts.items():
            (partial / corpus_card.LICENCES).mkdir(exist_ok=True)
            (partial / corpus_card.LICENCES / name).write_bytes(text)
    unlicensed = licence.where if seeded and not texts else None
    return ExportedCorpus(entries=len(exported.entries), cycles=exported.cycles, unlicensed=unlicensed)


def export_adapter(run: RunFolder, out: Path, *, cycle: int, cache: Path) -> int:
    """Write the adapter that `cycle` of `run` samples from to the new folder `out`, in PEFT's format, with a card.

    Every file is compared with what the run recorded of it. Returns the cycle that trained the adapter.

    Raises:
        ConfigError: the run has no adapter of that cycle, or `out` is not empty.
        LedgerError: a file was changed, is missing or was added.
        OSError: the disk refuses; nothing stays behind.
    """
    trained, record = adapter.adapter_of(run, cycle)
    licence = licences.of_model(run.config.llm.model, cache)
    with new_folder(out) as partial:
        journalled = adapter.copy(run, trained, record, partial)
        adapter.rename_base(partial, cards.base_model(run.config))
        card = adapter.card(run, trained, record, licence=licence, journalled=journalled)
        (partial / "README.md").write_text(card, encoding="utf-8")
    return trained.number
