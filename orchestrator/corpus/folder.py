"""A seed corpus in a folder of its own: its chat pairs, the account of its curation, and what it depends on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.config import Config, dump, flat
from orchestrator.corpus.build import curate
from orchestrator.corpus.curation import table
from orchestrator.corpus.stages import entries
from orchestrator.errors import ConfigError
from orchestrator.progress import Report, silent
from orchestrator.records import Entry
from orchestrator.run import Ledger, Store
from orchestrator.shipped import cache_folder

DECISIVE = (  # what a corpus depends on; with corpus.clean the sandbox too, whose dry runs decide
    "admission.parameter_budget",
    "completion",
    "corpus.",
    "llm.model.source",
    "llm.model.revision",
    "novelty.enabled",
    "novelty.permutations",
    "novelty.seed",
    "novelty.shingle",
    "novelty.tau",
    "prompt.",
    "protocol.",
    "seed",
)
CORPUS, STAGES, CONFIG = "corpus.jsonl", "stages.json", "config.json"


@dataclass(frozen=True)
class BuiltCorpus:
    """A complete corpus: its file, its chat pairs, and for each stage of curation what it kept, dropped, and why.

    `stages` is empty if the corpus was copied without its account; `fresh` says whether it was built just now.
    """

    path: Path
    entries: tuple[Entry, ...]
    stages: tuple[dict[str, Any], ...]
    fresh: bool


def build_corpus(
    config: Config, out: str | Path, *, cache: str | Path | None = None, report: Report = silent
) -> BuiltCorpus:
    """Curate the seed corpus that `config` describes, and write its chat pairs as `out`/corpus.jsonl, one a line.

    Each is an Entry whose `messages` are in the format of chat templates. `out`/stages.json says of every stage what it
    kept, what it dropped and why, and what the paper counted there; `out`/config.json, what of the configuration it
    depends on. A complete corpus is not built again. Programs are parsed in containers; nothing of them runs, unless
    `corpus.clean` or a qualification asks for it. `report` is told of progress.

        built = orchestrator.build_corpus(orchestrator.load("quickstart"), "corpus")
        print(len(built.entries), built.stages[-1]["kept"])

    Raises:
        ConfigError: no program is left, the configuration contradicts itself, or `out` holds a corpus of another one.
        InfrastructureError: the wheel, the engine or the image cannot be had, or the disk refused.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(folder / CORPUS, Entry, report=report)
    sections = DECISIVE if config.corpus.clean is None else (*DECISIVE, "sandbox.limits.", "sandbox.deadlines.")
    decisive = {key: value for key, value in flat(dump(config)) if key.startswith(sections)}
    if ledger.whole:
        _refuse_other(folder, decisive)
        return BuiltCorpus(ledger.path, tuple(ledger.read()), _stages(folder), fresh=False)
    curation = curate(config, cache=cache_folder(cache), report=report)
    ledger.keep(0, why="the corpus was torn; it is written again as a whole")
    ledger.extend(tuple(entries(config, curation, Store(folder / "objects"))))
    stages = tuple(stage.as_json() for stage in curation.stages)
    for name, content in ((CONFIG, decisive), (STAGES, list(stages))):
        (folder / name).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    ledger.finish()  # last, so that a complete corpus has its account
    return BuiltCorpus(ledger.path, tuple(ledger.read()), stages, fresh=True)


def _stages(folder: Path) -> tuple[dict[str, Any], ...]:
    """Return the account of a complete corpus; it may have been copied without."""
    if not (folder / STAGES).is_file():
        return ()
    found = _read(folder / STAGES)
    try:
        table(found)  # JSON, and no account of a curation, is damage too
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ConfigError(_damaged(folder / STAGES)) from error
    return tuple(found)


def _refuse_other(folder: Path, decisive: Mapping[str, Any]) -> None:
    """Raise ConfigError if the corpus was built by another configuration; an older version did not keep it."""
    before = _read(folder / CONFIG) if (folder / CONFIG).is_file() else decisive
    if not isinstance(before, dict):
        raise ConfigError(_damaged(folder / CONFIG))
    changed = [key for key in sorted({*before, *decisive}) if before.get(key) != decisive.get(key)]
    if changed:
        raise ConfigError(
            f"--out {folder}: holds a corpus of another configuration, which differs in {', '.join(changed)};"
            " name another folder"
        )


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(_damaged(path)) from error


def _damaged(path: Path) -> str:
    return f"{path}: is damaged: put it back, or remove {path.parent / CORPUS} to build the corpus again"
