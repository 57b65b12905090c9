"""One row of the table: what is compared, on which code it depends, and the runs of its sides in turn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import click

from orchestrator.config import load
from orchestrator.corpus import qualify
from orchestrator.records import digest
from tests.benchmarks import machine
from tests.benchmarks.result import Comparison, Sample, compare, spread
from tests.support.checkout import CACHE, CHECKOUT, QUICKSTART

WORK = CACHE / "bench"  # what benchmarks lay out for themselves
CONFIG = QUICKSTART
EPOCH = ("protocol.train_samples=4096", "protocol.validation_samples=2000")  # where a longer epoch is due
HONEST = Path(__file__).parent / "honest.py"
CODE = frozenset({".jsonl", ".py"})  # of a folder: its programs and its data
RUN = (
    "configs/quickstart.yaml",
    "docker/sandbox.Dockerfile",
    "docker/requirements-cpu.txt",
    "docker/seccomp.json",
    "orchestrator",
    "sandbox_image",
    "tests/benchmarks/row.py",
)
BESIDE_DOCKER_RUN = tuple(f"tests/benchmarks/{name}.py" for name in ("docker_run", "honest", "piped"))

Sides = Mapping[str, Callable[[], Sample]]
Samples = Mapping[str, list[Sample]]


class Opening(Protocol):
    """Opens whatever the sides of a row share, and gives a function for each side that runs it once."""

    def __call__(self, *, quick: bool) -> AbstractContextManager[Sides]:
        """Return the sides by name; small ones for a quick trial."""
        ...


def laid_out(name: str) -> Path:
    """Return where `name` lies that is made once from the quickstart's configuration and its measured seeds."""
    config = load(CONFIG)
    seeds = qualify.locate(config.corpus.qualified or "").read_bytes()
    return WORK / f"{name}-{digest(config.hash().encode() + seeds)[:12]}"


def nothing(_: Samples) -> list[str]:
    """Return no remarks."""
    return []


@dataclass(frozen=True)
class Row:
    """What one row measures.

    `code` are the files and folders (relative to the project) on which the numbers depend. `rounds` is how often each
    side runs, in turn. `remarks` makes notes of the samples.
    """

    name: str
    unit: str
    rounds: int
    code: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    sides: Opening
    notes: tuple[str, ...] = ()
    remarks: Callable[[Samples], list[str]] = nothing

    def revision(self) -> str:
        """Return the SHA-256 over every file of `code` as it is in the working tree."""
        total = hashlib.sha256()
        for place in self.code:
            path = CHECKOUT / place
            found = (file for file in path.rglob("*") if file.suffix in CODE) if path.is_dir() else (path,)
            for file in sorted(found):
                total.update(f"{file.relative_to(CHECKOUT)}\0".encode() + file.read_bytes())
        return total.hexdigest()

    def measure(self, *, quick: bool) -> dict[str, Any]:
        """Run every side in turn, and return the row's record."""
        revision, began = self.revision(), machine.load()
        with self.sides(quick=quick) as sides:
            samples: dict[str, list[Sample]] = {name: [] for name in sides}
            rounds = 1 if quick else self.rounds
            for number in range(rounds):
                for name, run in sides.items():
                    samples[name].append(run())
                    value = samples[name][-1].value
                    click.echo(f"{self.name}, round {number + 1} of {rounds}: {name} {value:.4g} {self.unit}", err=True)
        spreads = {name: spread([sample.value for sample in taken]) for name, taken in samples.items()}
        return {
            "row": self.name,
            "unit": self.unit,
            "quick": quick,
            "revision": revision,
            "comparisons": [
                compare(one, spreads, unit=self.unit) for one in self.comparisons if {*one.peers} <= spreads.keys()
            ],
            "sides": spreads,
            "notes": [*self.notes, *self.remarks(samples)],
            "details": {name: [dict(sample.details) for sample in taken] for name, taken in samples.items()},
            "machine": machine.describe() | {"load_before": began, "load_after": machine.load()},
        }
