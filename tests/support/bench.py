"""One run of the loop over the fakes, for tests to run, break, damage and resume."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import Config, parse
from orchestrator.errors import InfrastructureError
from orchestrator.loop import Loop
from orchestrator.loop.fakes import FakeEvaluator, FakeGenerator, FakeTrainer, fake_parts
from orchestrator.progress import Event
from orchestrator.records import CycleSummary
from orchestrator.run import RunFolder
from orchestrator.run.chain import JOURNAL


def config(**sections: Any) -> Config:
    data: dict[str, Any] = {
        "name": "test",
        "cycles": 2,
        "protocol": {"dataset": "fashion-mnist"},
        "prompt": {"task": "fashion-mnist"},
        "llm": {"model": {"source": "fake"}},
        "admission": {"threshold": 0.5},
        "budget": {"candidates": 20, "dynamic_from": None, "chunk": 8},
    }
    for key, value in sections.items():
        data[key] = data[key] | value if isinstance(value, dict) and key in data else value
    return parse(data, origin="test")


@dataclass
class Bench:
    """One run on fakes: what they were asked for can be counted afterwards."""

    folder: Path
    config: Config
    said: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def run(
        self,
        *,
        trainer_breaks: bool = False,
        generator_breaks: int | None = None,
        evaluator_breaks: int | None = None,
        bodies: int = 1000,
    ) -> list[CycleSummary]:
        run = RunFolder.create(self.folder, self.config, report=self.said.append)
        protocol = self.config.protocol.hash()
        self.trainer = FakeTrainer(breaks=trainer_breaks)
        self.generator = FakeGenerator(bodies=bodies, breaks_after=generator_breaks)
        self.evaluator = FakeEvaluator(protocol=protocol, breaks_after=evaluator_breaks)
        parts = fake_parts(run, generator=self.generator, evaluator=self.evaluator, trainer=self.trainer)
        return Loop(run, parts, observe=self.events.append).run()

    def ledgers(self) -> dict[str, list[Any]]:
        """Every ledger line by file, without the measured sub-records."""
        found = {}
        for path in sorted(self.folder.rglob("*.jsonl")):
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            for line in lines:
                line.pop("measured", None)
            if path.name != JOURNAL:
                found[str(path.relative_to(self.folder))] = lines
        return found

    def states(self, cycle: int = 1) -> list[str]:
        novelty = RunFolder.load(self.folder).cycle(cycle).novelty.read()
        return [record.decision for record in novelty]


def broken_and_resumed(folder: Path) -> Bench:
    """A small run of two cycles, broken once and resumed, so that its journal knows of drops and a pause."""
    settings = config(cycles=2, budget={"candidates": 8, "chunk": 4}, admission={"threshold": 0.3})
    bench = Bench(folder, settings)
    with pytest.raises(InfrastructureError):
        bench.run(generator_breaks=6)
    bench.run()
    return bench
