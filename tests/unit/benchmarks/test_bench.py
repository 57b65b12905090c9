"""The table of `make bench`: ratios, goals, and when a row is not measured again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.__main__ import ROWS, find
from tests.benchmarks.result import Comparison, Goal, compare, lines, quantity, settled, spread

SIDES = {"ours": spread([1.0, 3.0, 2.0]), "slow": spread([30.0]), "fast": spread([10.0])}


def test_the_ratio_is_of_medians() -> None:
    found = compare(Comparison("peer", "ours", ("fast",), Goal("at most", 0.2)), SIDES, unit="s")
    assert found["ratio"] == pytest.approx(0.2)
    assert found["met"]


def test_a_goal_in_times_better_counts_seconds_down_and_rates_up() -> None:
    comparison = Comparison("peer", "ours", ("fast",), Goal("at least", 5.0))
    assert compare(comparison, SIDES, unit="s")["ratio"] == pytest.approx(5.0)
    assert compare(comparison, SIDES, unit="s")["met"]
    assert compare(comparison, SIDES, unit="tokens/s")["ratio"] == pytest.approx(0.2)
    assert not compare(comparison, SIDES, unit="tokens/s")["met"]


def test_the_best_of_several_peers_is_the_one_compared_with() -> None:
    comparison = Comparison("peer", "ours", ("slow", "fast"), Goal("at least", 5.0))
    assert compare(comparison, SIDES, unit="s")["peer"] == "fast"
    assert compare(comparison, SIDES, unit="tokens/s")["peer"] == "slow"


def test_what_is_only_reported_is_neither_met_nor_missed() -> None:
    found = compare(Comparison("peer", "ours", ("fast",), Goal("reported")), SIDES, unit="s")
    assert found["met"] is None
    assert found["goal"] == "reported"


def test_a_row_is_measured_again_when_its_code_or_the_machine_has_changed() -> None:
    here = {"cpu": "one", "cores": 2, "python": "3.11", "packages": {"torch": "2"}, "time": "now"}
    there = here | {"cpu": "other"}
    record = {"revision": "a", "machine": here | {"time": "then"}}
    assert settled(record, revision="a", machine=here)
    assert not settled(record, revision="b", machine=here)
    assert not settled(record, revision="a", machine=there)
    assert not settled(None, revision="a", machine=here)


def test_a_missed_goal_is_said_in_the_table_and_notes_stand_once() -> None:
    comparisons = [
        compare(Comparison(f"peer {factor}", "ours", ("fast",), Goal("at least", factor)), SIDES, unit="s")
        for factor in (5.0, 6.0)
    ]
    record = {
        "row": "row",
        "quick": False,
        "unit": "s",
        "sides": SIDES,
        "comparisons": comparisons,
        "notes": ["n", "m"],
    }
    first, second = lines(record)
    assert (first[0], first[6], first[7]) == ("row", "met", "n; m")
    assert (second[0], second[6], second[7]) == ("", "MISSED", "")


def test_a_quantity_shows_its_range_where_there_is_one() -> None:
    assert quantity(SIDES["ours"], "s") == "2 s [1, 3]"
    assert quantity(SIDES["fast"], "s") == "10 s"


def test_every_row_of_the_bench_has_a_module_of_its_name() -> None:
    source = Path("tests/benchmarks/__main__.py").read_text(encoding="utf-8")
    listed = source.partition("ROWS = (")[2].partition(")")[0]
    for name in (part.strip(' "\n') for part in listed.split(",") if part.strip()):
        assert f'name="{name}"' in Path(f"tests/benchmarks/{name}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ROWS)
def test_all_that_a_rows_numbers_depend_on_is_there(name: str) -> None:
    assert len(find(name).revision()) == 64
