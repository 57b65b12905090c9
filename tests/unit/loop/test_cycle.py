"""The loop over the fakes: it continues after what is whole, computes nothing twice, and its counts add up."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import ConfigError, InfrastructureError, LedgerError
from orchestrator.loop.cycle import should_stop
from orchestrator.records import CycleSummary, Interval, digest
from orchestrator.run import RunFolder
from orchestrator.run.chain import JOURNAL
from orchestrator.sections import StopConfig
from tests.support.bench import Bench, config


def test_a_run_has_every_ledger_whole_and_the_counts_add_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config())
    summaries = bench.run()
    assert [summary.cycle for summary in summaries] == [1, 2]
    for summary in summaries:
        assert summary.generated == 20 == sum(summary.states.values())
        assert summary.valid == sum(
            summary.states.get(name, 0) for name in ("admitted", "duplicate", "below_threshold")
        )
    assert summaries[0].admitted > 0
    assert summaries[1].corpus_before == summaries[0].corpus_after == 3 + summaries[0].admitted
    for name, lines in bench.ledgers().items():
        assert (lines[-1]["kind"] == "end") == (name != "provenance.jsonl")
    assert bench.trainer.trained == [(3, None), (3 + summaries[0].admitted, None)]
    assert bench.generator.adapters == [tmp_path / "run" / f"cycle-00{number}" / "adapter" for number in (1, 2)]


def test_a_second_run_computes_nothing_and_writes_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config())
    first = bench.run()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert bench.run() == first
    assert (bench.trainer.trained, bench.generator.sampled, bench.evaluator.evaluated) == ([], 0, [])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_the_same_seed_gives_the_same_ledgers_and_another_seed_others(tmp_path: Path) -> None:
    benches = [Bench(tmp_path / name, config(seed=seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    for bench in benches:
        bench.run()
    assert benches[0].ledgers() == benches[1].ledgers()
    assert benches[0].ledgers() != benches[2].ledgers()


def test_overlap_changes_when_candidates_are_evaluated_and_no_ledger(tmp_path: Path) -> None:
    overlapped, apart = (
        Bench(tmp_path / name, config(budget={"candidates": 20, "overlap": overlap}))
        for name, overlap in (("overlapped", True), ("apart", False))
    )
    overlapped.run()
    apart.run()
    assert overlapped.ledgers() == apart.ledgers()


def test_a_run_broken_anywhere_and_resumed_equals_one_that_never_broke(tmp_path: Path) -> None:
    whole = Bench(tmp_path / "whole", config())
    whole.run()
    broken = Bench(tmp_path / "broken", config())
    with pytest.raises(InfrastructureError, match="trainer breaks"):
        broken.run(trainer_breaks=True)
    for attempt in range(40):
        try:
            broken.run(generator_breaks=5 if attempt % 2 else None, evaluator_breaks=None if attempt % 2 else 7)
        except InfrastructureError as error:
            assert "breaks here" in str(error)  # noqa: PT017 - the last attempt succeeds
        else:
            break
    assert broken.ledgers() == whole.ledgers()


def test_whole_chunks_are_kept_when_generation_breaks(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config(cycles=1))
    with pytest.raises(InfrastructureError, match="generator breaks"):
        bench.run(generator_breaks=13)
    kept = RunFolder.load(bench.folder).cycle(1)
    assert len(kept.completions.read()) == 8
    assert len(kept.verdicts.read()) == 8
    bench.run()
    assert bench.generator.sampled == 12
    assert bench.evaluator.evaluated[0] == "c001-0008"


LEDGERS = ("adapter", "completions", "candidates", "verdicts", "novelty", "entries", "summary")


@pytest.mark.parametrize("name", LEDGERS)
def test_a_kill_in_the_middle_of_a_ledger_is_resumed_to_the_same_ledgers(tmp_path: Path, name: str) -> None:
    whole = Bench(tmp_path / "whole", config(cycles=1))
    whole.run()
    content = (tmp_path / "whole" / "cycle-001" / f"{name}.jsonl").read_bytes()
    lines = content.splitlines(keepends=True)
    for present in sorted({0, len(lines) // 2, len(lines) - 1}):
        torn = b"".join(lines[:present]) + lines[present][: len(lines[present]) // 2]
        killed = Bench(tmp_path / f"killed-{present}", config(cycles=1))
        _copy_killed(whole.folder, killed.folder, name=name, torn=torn, present=present)
        killed.run()
        assert any("torn last line" in text for text in killed.said)
        assert killed.ledgers() == whole.ledgers(), present


def _copy_killed(source: Path, target: Path, *, name: str, torn: bytes, present: int) -> None:
    """Make `target` what a kill leaves while record `present` of ledger `name` is written, in a run without journal."""
    shutil.copytree(source, target)
    (target / JOURNAL).unlink()
    cycle = target / "cycle-001"
    streaming = ("completions", "candidates", "verdicts", "novelty")
    for later in LEDGERS[LEDGERS.index(name) + 1 :]:
        (cycle / f"{later}.jsonl").unlink()
    if name in streaming:
        for earlier in streaming[: streaming.index(name)]:
            file = cycle / f"{earlier}.jsonl"
            lines = file.read_bytes().splitlines(keepends=True)
            reached = present if name != "novelty" else len(lines) - 1
            ahead = {"completions": len(lines) - 1, "candidates": min(reached + 1, len(lines) - 1)}.get(
                earlier, reached
            )
            file.write_bytes(b"".join(lines[:ahead]))
    (cycle / f"{name}.jsonl").write_bytes(torn)


def test_more_cycles_continue_a_finished_run_without_touching_what_is_there(tmp_path: Path) -> None:
    Bench(tmp_path / "run", config(cycles=1)).run()
    longer = Bench(tmp_path / "run", config(cycles=3))
    assert len(longer.run()) == 3
    assert {name[:4] for name in longer.evaluator.evaluated} == {"c002", "c003"}
    assert RunFolder.load(tmp_path / "run").config.cycles == 3
    assert len(Bench(tmp_path / "run", config(cycles=2)).run()) == 2
    assert RunFolder.load(tmp_path / "run").config.cycles == 3


def test_another_configuration_is_refused_and_the_keys_are_named(tmp_path: Path) -> None:
    Bench(tmp_path / "run", config()).run()
    other = config(seed=5, admission={"threshold": 0.6})
    with pytest.raises(ConfigError, match=r"admission.threshold \(0.5 -> 0.6\), seed \(0 -> 5\)"):
        RunFolder.create(tmp_path / "run", other)


def test_a_damaged_ledger_stops_the_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config(cycles=1))
    with pytest.raises(InfrastructureError, match="evaluator breaks"):
        bench.run(evaluator_breaks=4)
    file = bench.folder / "cycle-001" / "verdicts.jsonl"
    file.write_bytes(b"damage\n" + file.read_bytes())
    with pytest.raises(LedgerError, match=r"verdicts.jsonl, line 1"):
        bench.run()


def test_near_duplicates_are_rejected_and_counted_until_the_next_admission(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config(cycles=1, admission={"threshold": 0.0}, budget={"candidates": 40}))
    bench.run(bodies=4)
    rejected = 0
    for record in RunFolder.load(bench.folder).cycle(1).novelty.read():
        if record.decision == "admitted":
            assert record.rejection_count == rejected
            rejected = 0
        elif record.generation is None:
            pytest.fail("the first of its kind was rejected")
        else:
            assert record.decision == "duplicate"
            assert record.rejection_count is None
            assert record.generation.estimate > 0.9
            rejected += 1
    assert bench.states().count("admitted") == 4


def test_without_the_novelty_filter_duplicates_are_admitted_and_their_neighbours_recorded(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config(cycles=1, admission={"threshold": 0.0}, novelty={"enabled": False}))
    bench.run(bodies=2)
    assert set(bench.states()) == {"admitted"}
    records = RunFolder.load(bench.folder).cycle(1).novelty.read()
    assert any(record.generation is not None and record.generation.exact > 0.9 for record in records)


def test_without_a_threshold_every_novel_program_is_admitted_and_the_share_is_still_reported(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config(cycles=1, admission={"threshold": None, "reported_threshold": 0.5}))
    (summary,) = bench.run()
    assert "below_threshold" not in summary.states
    assert summary.threshold == 0.5
    assert summary.above_threshold < summary.valid


def test_without_iteration_the_model_is_tuned_once_and_its_adapter_reused(tmp_path: Path) -> None:
    llm = {"model": {"source": "fake"}, "iterate": False}
    bench = Bench(tmp_path / "run", config(llm=llm))
    summaries = bench.run()
    assert bench.trainer.trained == [(3, None)]
    assert set(bench.generator.adapters) == {bench.folder / "cycle-001" / "adapter"}
    assert {(summary.corpus_before, summary.corpus_after) for summary in summaries} == {(3, 3)}


def test_without_fine_tuning_the_base_model_is_sampled(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config(llm={"model": {"source": "fake"}, "finetune": False}))
    bench.run()
    assert bench.trainer.trained == []
    assert bench.generator.adapters == [None, None]


def test_an_adapter_can_be_continued(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config(llm={"model": {"source": "fake"}, "continue_adapter": True}))
    bench.run()
    assert [adapter for _, adapter in bench.trainer.trained] == [None, bench.folder / "cycle-001" / "adapter"]


DYNAMIC = {"dynamic_from": 1, "admitted": 12, "cap": 64, "chunk": 8}


def test_a_dynamic_budget_samples_until_enough_are_admitted_and_discards_the_surplus(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config(cycles=1, budget=DYNAMIC))
    (summary,) = bench.run()
    assert summary.admitted == 12
    states = bench.states()
    last = max(index for index, state in enumerate(states) if state == "admitted")
    assert set(states[last + 1 :]) <= {"surplus"}
    assert "surplus" not in states[:last]
    assert summary.generated <= 64


def test_a_dynamic_budget_ends_at_its_cap(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config(cycles=1, admission={"threshold": 1.0}, budget=DYNAMIC | {"cap": 28}))
    (summary,) = bench.run()
    assert (summary.admitted, summary.generated) == (0, 28)


def test_a_dynamic_cycle_broken_in_any_round_resumes_to_the_same_ledgers(tmp_path: Path) -> None:
    whole = Bench(tmp_path / "whole", config(cycles=1, budget=DYNAMIC))
    (summary,) = whole.run()
    for index in (0, 3, summary.generated // 2, summary.generated - 1):
        broken = Bench(tmp_path / f"broken-{index}", config(cycles=1, budget=DYNAMIC))
        with pytest.raises(InfrastructureError):
            broken.run(evaluator_breaks=index)
        broken.run()
        assert broken.ledgers() == whole.ledgers()


def summary(cycle: int, mean: float | None, share: float) -> CycleSummary:
    interval = Interval(low=share - 0.1, high=share + 0.1, n=50)
    fields: dict[str, Any] = dict.fromkeys(CycleSummary.model_fields, 0)
    fields |= {"kind": "summary", "schema_version": 1, "cycle": cycle, "states": {}, "measured": {}}
    fields |= {"accuracy_mean": mean, "above_rate": share, "above_interval": interval, "protocol": digest(b"")}
    fields |= dict.fromkeys(("valid_interval", "accuracy_interval", "threshold", "valid_rate", "accuracy_median"))
    fields |= dict.fromkeys(("chance", "majority", "accuracy_best", "accuracy_std"), 0.0)
    return CycleSummary.model_validate(fields)


def test_the_criterion_stops_on_a_plateau_only() -> None:
    stop = StopConfig(enabled=True)
    plateau = [summary(number, 0.50 + 0.002 * number, 0.9) for number in range(4)]
    assert should_stop(plateau, stop)
    assert not should_stop(plateau, StopConfig(enabled=False))
    assert not should_stop(plateau[:3], stop)
    assert not should_stop([summary(number, 0.50 + 0.01 * number, 0.9) for number in range(4)], stop)
    assert not should_stop([*plateau[:3], summary(3, 0.5, 0.6)], stop)
    assert not should_stop([*plateau[:3], summary(3, None, 0.9)], stop)
