"""A run's corpus grows by what is admitted, every adapter carries all of it, and a plateau ends the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.progress import Note
from orchestrator.records import canonical, digest
from orchestrator.run import RunFolder
from tests.support.bench import Bench, config


@pytest.mark.parametrize("continued", [False, True])
def test_the_adapter_of_a_cycle_carries_everything_that_was_admitted_before_it(
    tmp_path: Path, *, continued: bool
) -> None:
    llm = {"model": {"source": "fake"}, "continue_adapter": continued}
    bench = Bench(tmp_path / "run", config(cycles=4, llm=llm))
    summaries = bench.run()
    run = RunFolder.load(bench.folder)
    for number, summary in enumerate(summaries, start=1):
        admitted = [
            record.candidate_id
            for earlier in range(1, number)
            for record in run.cycle(earlier).novelty.read()
            if record.decision == "admitted"
        ]
        corpus = run.corpus_before(number)
        assert [entry.entry_id for entry in corpus[3:]] == admitted
        (adapter,) = run.cycle(number).adapter.read()
        assert adapter.corpus == digest(canonical([entry.model_dump(mode="json") for entry in corpus]))
        assert summary.corpus_before == 3 + len(admitted)
    assert summaries[-1].corpus_before > summaries[1].corpus_before > 3


@pytest.mark.parametrize(("enabled", "cycles"), [(True, 2), (False, 4)])
def test_the_criterion_ends_a_run_where_it_is_enabled(tmp_path: Path, *, enabled: bool, cycles: int) -> None:
    stop: dict[str, Any] = {"enabled": enabled, "improvement": 1.0, "cycles": 1}
    bench = Bench(tmp_path / "run", config(cycles=4, stop=stop))
    assert len(bench.run()) == cycles
    said = [event.text for event in bench.events if isinstance(event, Note)]
    assert any("stopping after cycle 2" in text for text in said) == enabled
    assert len(bench.run()) == cycles
