"""The corpus of a run as rows that stand alone, in Parquet shards and JSON Lines that `datasets` loads."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigError
from orchestrator.records import Claimed, Entry, Novelty
from orchestrator.run import RunFolder
from orchestrator.run.functional_duplicates import twins
from orchestrator.run.query import SAFE

JSON_LINES = "corpus.jsonl"
SHARD = 10_000  # rows of one Parquet file
TEXT, WHOLE, NUMBER, CHAT = "VARCHAR", "BIGINT", "DOUBLE", "STRUCT(role VARCHAR, content VARCHAR)[]"


@dataclass(frozen=True)
class Column:
    """One column of an exported corpus: its name, DuckDB's type of it, and what it means."""

    name: str
    kind: str
    meaning: str


COLUMNS = (
    Column("entry_id", TEXT, "the entry's name; one program may stand in several entries"),
    Column("origin", TEXT, "where the program came from: a published collection and its name there, or a cycle"),
    Column("cycle", WHOLE, "the cycle that admitted it; 0 for the seed corpus"),
    Column("task", TEXT, "the image classification task that the prompt describes"),
    Column("messages", CHAT, "the chat that a language model is trained on: role and content of each turn"),
    Column("source", TEXT, "the program, as the model wrote it or as curation left it: untrusted code"),
    Column("source_sha256", TEXT, "SHA-256 of the program"),
    Column("accuracy", NUMBER, "accuracy on the validation images after one epoch, 0 to 1; null if not measured"),
    Column("protocol", TEXT, "hash of the protocol behind the accuracy; equal hashes may be compared"),
    Column("nearest_id", TEXT, "the most similar earlier program; null for the seed corpus"),
    Column("nearest_in", TEXT, "where that stands: in the corpus, or in the entry's own cycle"),
    Column("nearest_estimate", NUMBER, "Jaccard similarity to it as MinHash estimates it, which decided"),
    Column("nearest_exact", NUMBER, "the exact Jaccard similarity of the two sets of token shingles"),
    Column("parameters", WHOLE, "of the network, as its container claimed; null if it was not asked"),
    Column("fingerprint", TEXT, "SHA-256 of the operations that it executes, as its container claimed"),
    Column("functional_twin", TEXT, "the first earlier valid program with that fingerprint; null if there is none"),
)


@dataclass(frozen=True)
class Corpus:
    """The entries of a run up to the end of cycle `cycles`, in the order in which they are trained on.

    `parts` holds the seed corpus and then what each cycle admitted; `novelty` is what was decided about an entry,
    `claimed` what its container said of it; `twins` names the first earlier program that claims to compute the same.
    """

    parts: tuple[Sequence[Entry], ...]
    novelty: dict[str, Novelty]
    claimed: dict[str, Claimed]
    twins: Mapping[str, str]

    @property
    def cycles(self) -> int:
        """The last cycle whose entries are in it; 0 for the seed corpus alone."""
        return len(self.parts) - 1

    @property
    def entries(self) -> list[Entry]:
        """All entries in order."""
        return [entry for part in self.parts for entry in part]


def corpus_of(run: RunFolder, *, cycle: int | None = None) -> Corpus:
    """Return the corpus of `run` at the end of `cycle`, or of its last complete cycle.

    Raises:
        ConfigError: the seed corpus or the entries of that cycle are not whole yet.
        LedgerError: a ledger is damaged.
    """
    if not run.corpus.whole:
        raise ConfigError(f"{run.path}: its seed corpus is not complete yet; let `orchestrate cycle` build it first")
    parts: list[Sequence[Entry]] = [run.corpus.read()]
    novelty: dict[str, Novelty] = {}
    claimed: dict[str, Claimed] = {}
    for folder in run.cycles():
        if not folder.entries.whole or folder.number > (folder.number if cycle is None else cycle):
            break
        parts.append(folder.entries.read())
        novelty |= {one.candidate_id: one for one in folder.novelty.read() if one.decision == "admitted"}
        claimed |= {one.candidate_id: one.claimed for one in folder.verdicts.read() if one.candidate_id in novelty}
    if cycle is not None and cycle > len(parts) - 1:
        raise ConfigError(
            f"--cycle {cycle}: {run.path} has {len(parts) - 1} cycles whose admitted programs are complete"
        )
    return Corpus(tuple(parts), novelty, claimed, twins(run).earlier)


def rows(run: RunFolder, corpus: Corpus) -> Iterator[dict[str, Any]]:
    """Yield one row of `COLUMNS` for each entry.

    Raises:
        LedgerError: a program is not stored, or is no longer what its digest says.
    """
    for cycle, part in enumerate(corpus.parts):
        for entry in part:
            yield {
                "entry_id": entry.entry_id,
                "origin": entry.origin,
                "cycle": cycle,
                "task": entry.task,
                "messages": [message.model_dump(mode="json") for message in entry.messages],
                "source": run.store.get(entry.source).decode(),
                "source_sha256": entry.source,
                "accuracy": entry.accuracy,
                "protocol": entry.protocol,
                **_nearest(corpus.novelty.get(entry.entry_id)),
                **_computed(entry, corpus),
            }


def write(run: RunFolder, corpus: Corpus, folder: Path, *, formats: Sequence[str]) -> list[str]:
    """Write the rows to `folder` as `parquet`, `jsonl` or both; return the names of the files. One run, one content."""
    lines = [json.dumps(row, allow_nan=False) for row in rows(run, corpus)]
    names = []
    if "parquet" in formats:
        shards = [lines[start : start + SHARD] for start in range(0, len(lines), SHARD)]
        (folder / "data").mkdir()
        for number, shard in enumerate(shards):
            names.append(f"data/train-{number:05d}-of-{len(shards):05d}.parquet")
            _parquet(shard, folder / names[-1])
    if "jsonl" in formats:
        names.append(JSON_LINES)
        (folder / JSON_LINES).write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    return names


def _nearest(novelty: Novelty | None) -> dict[str, Any]:
    near = {} if novelty is None else {"corpus": novelty.train, "cycle": novelty.generation}
    known = [(where, one) for where, one in near.items() if one is not None]
    where, nearest = max(known, key=lambda pair: pair[1].estimate, default=(None, None))
    return {
        "nearest_id": None if nearest is None else nearest.entry_id,
        "nearest_in": where,
        "nearest_estimate": None if nearest is None else nearest.estimate,
        "nearest_exact": None if nearest is None else nearest.exact,
    }


def _computed(entry: Entry, corpus: Corpus) -> dict[str, Any]:
    claimed = corpus.claimed.get(entry.entry_id)
    return {
        "parameters": None if claimed is None else claimed.parameters,
        "fingerprint": entry.fingerprint if claimed is None else claimed.fingerprint,
        "functional_twin": corpus.twins.get(entry.entry_id),
    }


def _parquet(lines: Sequence[str], target: Path) -> None:
    import duckdb

    types = {column.name: column.kind for column in COLUMNS}
    with tempfile.TemporaryDirectory(prefix="export-") as scratch, duckdb.connect(config=dict(SAFE)) as connection:
        source = Path(scratch) / "rows.jsonl"
        source.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        read = connection.read_json(str(source), columns=types, format="newline_delimited")
        read.write_parquet(str(target), compression="zstd")
