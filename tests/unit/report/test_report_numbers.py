"""The numbers of a report are those of the ledgers, each interval with its n, each accuracy beside chance."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.records import Interval, digest
from orchestrator.report.comparison import ablations, changes, comparison, differences, surroundings, totals
from orchestrator.report.costs import costs
from orchestrator.report.environments import Code, Place
from orchestrator.report.estimate import Estimate, average, share
from orchestrator.report.failures import by_state, failures
from orchestrator.report.paper import ABLATIONS
from orchestrator.report.results import Results
from orchestrator.report.run_tables import chapter, cycles
from orchestrator.report.so_far import unfinished
from orchestrator.report.totals import pooled
from tests.support.recorded_run import recorded


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    run = recorded(tmp_path_factory.mktemp("runs") / "run", cycles=3, candidates=60)
    return Results.read(run, label="run", most=2)


def test_the_cycles_are_those_of_the_summaries(results: Results) -> None:
    rows = cycles(results).rows
    assert len(rows) == 3
    for row, summary in zip(rows, results.summaries, strict=True):
        interval = summary.valid_interval
        assert summary.valid_rate is not None
        assert interval is not None
        assert row[:2] == (str(summary.cycle), str(summary.generated))
        low, high = 100 * interval.low, 100 * interval.high
        assert row[2] == f"{100 * summary.valid_rate:.1f}% [{low:.1f}, {high:.1f}] n={interval.n}"
        assert row[-4:-2] == (str(summary.admitted), str(summary.rejected_duplicates))
        assert row[-1] == str(summary.corpus_after)


def test_a_pool_of_one_cycle_equals_its_summary(results: Results) -> None:
    summary, pool = results.summaries[0], results.first
    assert pool is not None
    assert pool.valid_rate == Estimate(summary.valid_rate, summary.valid_interval)
    assert pool.accuracy == Estimate(summary.accuracy_mean, summary.accuracy_interval)
    assert pool.above_rate == Estimate(summary.above_rate, summary.above_interval)
    assert (pool.generated, pool.admitted, pool.above) == (60, summary.admitted, summary.above_threshold)


def test_all_cycles_together_count_every_candidate_once(results: Results) -> None:
    pool = results.all
    assert pool.generated == sum(summary.generated for summary in results.summaries) == 180
    assert len(pool.accuracies) == sum(summary.valid for summary in results.summaries)
    assert pool.valid_rate.interval is not None
    assert pool.valid_rate.interval.n == 180
    assert sum(failure.count for failure in results.failures) + len(pool.accuracies) == 180


def test_the_last_two_cycles_stand_against_the_first(results: Results) -> None:
    assert results.last is not None
    assert results.last.cycles == (2, 3)
    (row,) = [row for row in changes([results]).rows if row[1] == "mean accuracy"]
    assert row[0] == "run, cycles 2 to 3"
    assert row[2].endswith("n=20")
    assert row[3].endswith("n=40")
    assert row[-1] == "overlap"
    one = replace(results, summaries=results.summaries[:1])
    assert one.last is None
    two = replace(results, summaries=results.summaries[:2])
    assert two.last is not None
    assert two.last.cycles == (2,)


def test_near_duplicates_are_told_from_novel_programs_also_where_no_filter_was_on(results: Results) -> None:
    admitted = results.all.admitted
    assert results.all.distinct == admitted
    unfiltered = [
        replace(one, novelty=one.novelty.model_copy(update={"decision": "admitted"}))
        if one.novelty is not None and one.state == "duplicate"
        else one
        for one in results.histories
    ]
    pool = pooled(results.summaries, unfiltered, tau=0.9)
    assert sum(one.state == "admitted" for one in unfiltered) > admitted
    assert pool.distinct == admitted
    assert pool.novel == results.all.novel


def test_functional_duplicates_are_counted_where_a_cycle_knows_them(results: Results) -> None:
    counts = [(one.functional_duplicates or 0, one.fingerprinted or 0) for one in results.summaries]
    equal, known = (sum(column) for column in zip(*counts, strict=True))
    assert known > 0
    assert ablations([results]).rows[0][-2] == f"{equal} of {known}"
    before = [
        one.model_copy(update={"functional_duplicates": None, "fingerprinted": None}) for one in results.summaries
    ]
    assert pooled(before, results.histories, tau=0.9).functional == "-"


def test_equal_programs_and_rejections_are_counted(results: Results) -> None:
    valid = [one for one in results.histories if one.accuracy is not None]
    programs = {one.candidate.source for one in valid if one.candidate is not None}
    assert results.all.programs == len(programs)
    assert totals([results]).rows[0][3] == str(len(programs))
    before = [one.novelty.rejection_count for one in valid if one.novelty is not None and one.state == "admitted"]
    counts = [count for count in before if count is not None]
    assert sum(counts) > 0
    assert results.all.rejections == sum(counts) / len(counts)
    assert replace(results, summaries=()).all.rejections is None


def test_where_candidates_ran_is_told_and_how_much_that_changed(results: Results) -> None:
    table = surroundings([results])
    (place,) = results.places
    executed = [one for one in results.histories if one.verdict is not None and one.verdict.measured.container_id]
    assert table.rows[0][:4] == ("run", "1 to 3", str(len(executed)), place.environment[:12])
    assert table.rows[0][4:] == ("0", "-", "-", "runc", "-", "-")
    assert table.note.endswith("No program was executed in more than one environment.")
    moved = [
        replace(one, verdict=one.verdict.model_copy(update={"environment": digest(b"new"), "accuracy": one.accuracy}))
        for one in results.histories
        if one.verdict is not None
    ]
    other = replace(results, label="other", histories=tuple(moved))
    assert "All " in surroundings([results, other]).note
    better = [
        replace(one, verdict=one.verdict.model_copy(update={"accuracy": one.accuracy + 0.02}))
        if one.verdict is not None and one.accuracy is not None
        else one
        for one in moved
    ]
    assert re.search(
        r"Of (\d+) programs .* \1 have different accuracies, by 2\.0 points at most",
        surroundings([results, replace(other, histories=tuple(better))]).note,
    )


def test_the_code_is_named_with_what_was_not_committed() -> None:
    assert [Code(*one).text for one in ((None, None), ("0123456789", False), ("0123456789", True))] == [
        "unknown",
        "01234567",
        "01234567 with changes",
    ]
    assert Place("0" * 64, (1, 2, 4), 3, {}).named == "1, 2, 4"


def test_the_summary_holds_the_fingerprint_and_the_twin_of_every_admitted_program(results: Results) -> None:
    admitted = results.plain()["admitted"]
    assert len(admitted) == results.all.admitted
    assert all(one["claimed"]["fingerprint"] is not None for one in admitted)
    assert [one["claimed"]["functional_twin"] for one in admitted if one["candidate_id"] in results.twins]
    assert {one["claimed"]["parameters"] for one in admitted} == {123456}


def test_quarantined_candidates_are_named_and_are_no_failure(results: Results) -> None:
    first = next(one for one in results.histories if one.verdict is not None and one.verdict.state == "failed")
    assert first.verdict is not None
    moved = replace(first, verdict=first.verdict.model_copy(update={"state": "quarantined"}))
    changed = replace(results, histories=tuple(moved if one is first else one for one in results.histories))
    assert changed.quarantined == (first.candidate_id,)
    assert any(first.candidate_id in note for note in chapter(changed).notes)
    assert sum(one.count for one in changed.failures) == sum(one.count for one in results.failures) - 1


def test_failures_are_counted_by_stage_state_and_cause_and_numbers_do_not_tell_causes_apart(results: Results) -> None:
    found = results.failures
    assert by_state(found) == {
        ("extract", "no_code"): 30,
        ("parse", "syntax_error"): 30,
        ("forward", "failed"): 30,
        ("train", "timeout"): 30,
    }
    assert [one.cause for one in found] == [
        "no code block",
        "line #: invalid syntax",
        "ValueError: shapes",
        "train took too long",
    ]
    first, second = (one for one in results.histories[:12] if one.verdict is not None and one.verdict.state == "failed")
    assert first.verdict is not None
    assert second.verdict is not None
    shapes = [
        replace(one, verdict=verdict.model_copy(update={"cause": f"RuntimeError: shapes ({number}x9)"}))
        for number, (one, verdict) in enumerate([(first, first.verdict), (second, second.verdict)])
    ]
    (both,) = failures(shapes)
    assert (both.count, both.cause) == (2, "RuntimeError: shapes (#x#)")


def test_costs_add_up_to_the_summaries(results: Results) -> None:
    found = {cost.stage: cost for cost in costs(results.summaries, results.histories, results.adapters)}
    assert found["generate"].seconds == sum(summary.measured["generate"] for summary in results.summaries)
    assert found["generate"].tokens == sum(one.completion.tokens for one in results.histories)
    stages = sum(cost.seconds for name, cost in found.items() if name.startswith("evaluate:"))
    assert stages == pytest.approx(found["evaluate, all stages"].seconds)
    train = [one.verdict.measured.stage_cpu_seconds.get("train", 0.0) for one in results.histories if one.verdict]
    assert found["evaluate: train"].cpu_seconds == pytest.approx(sum(train))
    assert found["evaluate: import"].cpu_seconds is None


def test_means_over_cycles_stand_in_the_form_of_table_7_above_the_papers_rows(results: Results) -> None:
    table = ablations([results, replace(results, label="other")])
    assert [row[0] for row in table.rows] == ["run", "other", *(f"paper: {one.method}" for one in ABLATIONS)]
    rates = [summary.valid_rate for summary in results.summaries if summary.valid_rate is not None]
    assert table.rows[0][1] == "180"
    assert table.rows[0][2] == average(rates).text
    assert table.rows[0][2].endswith("n=3")
    assert table.rows[2][1:6] == ("-", "50.6% [45.0, 56.1] n=22", "42.3%", "51.1%", "455")
    assert "may not be compared" not in table.note
    shorter = replace(results, summaries=results.summaries[:2])
    assert "different numbers of cycles or candidates" in ablations([results, shorter]).note
    assert totals([results]).rows[0][2] == results.all.valid_rate.text


def test_what_runs_do_not_have_in_common_is_told(results: Results) -> None:
    assert differences([results, replace(results, label="other")]) is None
    config = results.config
    coarser = config.model_copy(update={"protocol": config.protocol.model_copy(update={"resolution": 16})})
    stricter = tuple(one.model_copy(update={"threshold": 0.625}) for one in results.summaries)
    other = replace(results, label="other", config=coarser, summaries=stricter)
    table = differences([results, other])
    assert table is not None
    assert table.rows == (("protocol.resolution", "32", "16"),)
    for note in (ablations([results, other]).note, totals([results, other]).note):
        assert "different protocols: their accuracies and valid rates may not be compared" in note
        assert "different thresholds: " in note
    assert other.threshold == "62.5%"


def test_equal_values_have_no_interval_and_are_not_disjoint() -> None:
    assert average([1.0] * 8).text == "100.0% (all equal) n=8"
    assert average([1.0] * 8).disjoint(share(1, 50)) is None


def test_no_interval_is_shown_beyond_what_a_share_can_be() -> None:
    assert average([0.4, 0.8]).text == "60.0% [0.0, 100.0] n=2"


def test_every_table_with_an_accuracy_names_chance_and_majority_class(results: Results) -> None:
    tables = [*comparison([results]), *chapter(results).tables]
    graded = [table for table in tables if {"best", "mean", "mean accuracy"} & set(table.head)]
    assert len(graded) == 5
    for table in [*graded, changes([results])]:
        assert "fashion-mnist: chance 10.0%, majority class 10.0%" in table.note


def test_every_share_and_mean_of_a_run_has_its_interval_and_n(results: Results) -> None:
    for table in (cycles(results), changes([results]), totals([results])):
        for row in table.rows:
            for name, cell in zip(table.head, row, strict=True):
                if name in {"valid", "mean", "valid rate", "mean accuracy", "first cycle", "last cycles"}:
                    assert " n=" in cell
                    assert "[" in cell


def test_the_summary_holds_the_ledgers_lines_and_is_json(results: Results) -> None:
    plain = json.loads(json.dumps(results.plain(), allow_nan=False))
    assert plain["cycles"] == [summary.model_dump(mode="json") for summary in results.summaries]
    assert plain["protocol_hash"] == results.summaries[0].protocol
    assert plain["all_cycles"]["valid_rate"]["interval"]["n"] == 180
    assert len(plain["gallery"]) == 2


def test_runs_of_different_protocols_are_said_not_to_be_comparable(results: Results) -> None:
    protocol = results.config.protocol.model_copy(update={"seed": 1})
    other = replace(results, config=results.config.model_copy(update={"protocol": protocol}))
    assert "may not be compared" in comparison([results, other])[0].note
    assert "may not" not in comparison([results, results])[0].note


def test_a_cycle_that_is_not_whole_is_in_no_number(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", cycles=2, candidates=12)
    ledger = run.cycle(2).summary.path
    ledger.write_bytes(ledger.read_bytes().splitlines(keepends=True)[0])
    read = Results.read(run, label="run", most=9)
    assert [summary.cycle for summary in read.summaries] == [1]
    assert read.all.generated == 12
    assert {one.history.cycle for one in read.exhibits} == {1}
    (said,) = (note for note in chapter(read).notes if note.startswith("Cycle 2 is not complete"))
    assert said == next(unfinished(run))
    assert "So far: 12 generated, 12 evaluated, " in said
    assert re.search(r"\d+ valid, the best at \d+\.\d%, \d+ admitted\.$", said)


def test_intervals_that_touch_are_not_disjoint() -> None:
    low, high = (Estimate(0.5, Interval(low=a, high=b, n=9)) for a, b in ((0.1, 0.4), (0.4, 0.9)))
    assert low.disjoint(high) is False
    assert low.disjoint(Estimate(0.95, Interval(low=0.91, high=0.99, n=9))) is True
    assert low.disjoint(Estimate(0.5)) is None
    assert Estimate(None).text == "-"
    assert average([0.5]).text == "50.0% n=1"
    assert share(22, 50).text == "44.0% [31.2, 57.7] n=50"
    assert share(0, 0) == Estimate(None)
