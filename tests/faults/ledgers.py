"""What a run left, held against what an undisturbed run of the same seed left."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import OrchestratorError
from orchestrator.evaluation import prepare
from orchestrator.run.regrade import Labels
from orchestrator.run.verify import verify
from tests.faults.cycle import CACHE, CYCLES, config

SURROUNDINGS = ("audit.jsonl", "provenance.jsonl")  # they tell of the machine and of what happened to the run


@dataclass(frozen=True)
class Difference:
    """Where a run's ledgers are other than the undisturbed ones; all is well where nothing is said."""

    lost: int
    repeated: int
    other: str = ""
    verified: str = ""

    @property
    def none(self) -> bool:
        """Whether nothing was lost, repeated or changed, and `audit verify` passed."""
        return self == Difference(lost=0, repeated=0)


def difference(run: Path, undisturbed: Path) -> Difference:
    """Compare the two runs' ledgers, measured quantities aside, add up the counts, and verify `run`."""
    ours, theirs = _records(run), _records(undisturbed)
    lost = sum(len(_candidates(theirs[name]) - _candidates(ours.get(name, []))) for name in theirs)
    repeated = sum((_candidates(lines) - Counter(set(_candidates(lines)))).total() for lines in ours.values())
    other = next((name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)), "")
    return Difference(lost=lost, repeated=repeated, other=other or _miscounted(ours), verified=unverified(run))


def unverified(run: Path) -> str:
    """Return the first thing that `orchestrate audit verify` finds wrong; nothing where all holds."""
    prepared = prepare(config().protocol, CACHE)
    labels = Labels(labels=prepared.validation_labels, classes=prepared.classes, dataset=prepared.hash)
    try:
        verify(run, labels=lambda _: labels)
    except OrchestratorError as error:
        return str(error)
    return ""


def paths(run: Path) -> list[Path]:
    """Return the ledgers of a run, in the order of their names."""
    return sorted(path for path in run.rglob("*.jsonl") if path.name not in SURROUNDINGS)


def _records(run: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        str(path.relative_to(run)): [_unmeasured(json.loads(line)) for line in path.read_text().splitlines()]
        for path in paths(run)
    }


def _unmeasured(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != "measured"}


def _candidates(records: list[dict[str, Any]]) -> Counter[str]:
    return Counter(record["candidate_id"] for record in records if "candidate_id" in record)


def _miscounted(ledgers: dict[str, list[dict[str, Any]]]) -> str:
    for number in range(1, CYCLES + 1):
        summary = ledgers[f"cycle-{number:03d}/summary.jsonl"][0]
        judged = len(ledgers[f"cycle-{number:03d}/verdicts.jsonl"]) - 1
        if not sum(summary["states"].values()) == summary["generated"] == judged:
            return f"the states of cycle {number} do not add up"
    return ""
