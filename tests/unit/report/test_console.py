"""What a person sees: counts in the order of the funnel, an estimate, intervals with their n."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from orchestrator.cli.options import PLAIN_WIDTH
from orchestrator.config import parse
from orchestrator.progress import Guessing, Note, Pace, StageBegins, duration
from orchestrator.records import CycleSummary, FinetuneStep, Interval, Novelty, digest
from orchestrator.report import Cycles, View
from orchestrator.report.console import states_table
from orchestrator.report.funnel import Funnel

CONFIG = parse(
    {
        "name": "test",
        "protocol": {"dataset": "cifar10"},
        "prompt": {"task": "cifar10"},
        "llm": {"model": {"source": "fake"}},
    },
    origin="test",
)
SUMMARY = CycleSummary(
    cycle=1,
    generated=4,
    states={"admitted": 1, "failed": 2, "below_threshold": 1},
    valid=2,
    valid_rate=0.5,
    valid_interval=Interval(low=0.15, high=0.85, n=4),
    accuracy_mean=0.45,
    accuracy_median=0.45,
    accuracy_best=0.6,
    accuracy_std=0.2,
    accuracy_interval=None,
    above_threshold=1,
    above_rate=0.5,
    above_interval=Interval(low=0.09, high=0.91, n=2),
    admitted=1,
    rejected_duplicates=0,
    corpus_before=32,
    corpus_after=33,
    chance=0.1,
    majority=0.11,
    threshold=0.4,
    protocol=digest(b""),
    measured={},
)


def step(number: int) -> FinetuneStep:
    return FinetuneStep(step=number, steps=10, loss=1.5, learning_rate=1e-5, tokens=100, seconds=1.0)


def test_fine_tuning_is_shown_with_its_step_and_the_seconds_left() -> None:
    funnel = Funnel(threshold=0.4, tau=0.9, cycles=2)
    funnel.take(StageBegins(cycle=1, name="finetune"), now=100.0)
    assert funnel.left(now=110.0) is None
    funnel.take(step(2), now=120.0)
    assert funnel.left(now=120.0) == pytest.approx(80.0)
    assert ("step", "2 of 10, loss 1.500") in funnel.pairs()


def test_an_estimate_shrinks_while_nothing_is_done_and_never_grows() -> None:
    pace = Pace(began=0.0)
    assert pace.left(now=50.0, missing=4) is None
    pace.advance(now=10.0, done=1)
    lefts = [pace.left(now=now, missing=3) for now in (10.0, 20.0, 40.0, 90.0)]
    assert lefts == [30.0, 20.0, 0.0, 0.0]
    pace.advance(now=100.0, done=2)
    assert pace.left(now=100.0, missing=2) == 100.0


def test_accuracies_are_shown_beside_guessing_in_every_cycle() -> None:
    funnel = Funnel(threshold=0.4, tau=0.9, cycles=2)
    funnel.take(Guessing(chance=0.1, majority=0.196), now=0.0)
    for cycle in (1, 2):
        funnel.take(StageBegins(cycle=cycle, name="sample", total=8), now=1.0)
        assert ("to compare with", "chance 10.0%, majority class 19.6%") in funnel.pairs()


def test_a_new_cycle_begins_with_an_empty_funnel() -> None:
    funnel = Funnel(threshold=0.4, tau=0.9, cycles=2)
    funnel.take(StageBegins(cycle=1, name="sample", total=8), now=1.0)
    funnel.take(
        Novelty(candidate_id="c", accuracy=0.5, train=None, generation=None, decision="admitted"),
        now=2.0,
    )
    assert (funnel.above, funnel.novel, funnel.admitted) == (1, 1, 1)
    funnel.take(StageBegins(cycle=2, name="finetune"), now=3.0)
    assert (funnel.cycle, funnel.above, funnel.novel, funnel.admitted) == (2, 0, 0, 0)


def test_without_a_terminal_every_stage_and_note_is_one_plain_line() -> None:
    written = io.StringIO()
    with View(Console(file=written, width=400), CONFIG) as view:
        view.observe(StageBegins(cycle=1, name="finetune"))
        view.observe(StageBegins(cycle=1, name="sample", total=50))
        view.observe(Note("[bold]as it stands"))
    lines = written.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("cycle 1 of 22: sample: generated 0 of 50")
    assert lines[2] == "[bold]as it stands"


def test_functional_duplicates_stand_beside_how_many_fingerprints_are_known() -> None:
    written = io.StringIO()
    known = SUMMARY.model_copy(update={"functional_duplicates": 3, "fingerprinted": 17})
    Console(file=written, width=PLAIN_WIDTH).print(Cycles([SUMMARY, known]))
    assert "3 of 17" in written.getvalue()
    assert "claims" in written.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_that_is_too_narrow_for_the_table_gets_every_value_in_a_line_of_its_own(width: int) -> None:
    written = io.StringIO()
    Console(file=written, width=width).print(Cycles([SUMMARY, SUMMARY]))
    lines = [line.strip().split(maxsplit=1) for line in written.getvalue().splitlines()]
    assert lines.count(["valid", "2: 50.0% [15.0, 85.0] n=4"]) == 2
    assert lines.count(["corpus", "32 -> 33"]) == 2


def test_a_run_without_a_whole_cycle_says_so() -> None:
    written = io.StringIO()
    Console(file=written).print(Cycles([]))
    assert written.getvalue() == "no cycle is complete yet\n"


def test_a_terminal_is_given_back_after_the_live_view() -> None:
    written = io.StringIO()
    with View(Console(file=written, force_terminal=True, width=80), CONFIG) as view:
        view.observe(StageBegins(cycle=1, name="sample", total=50))
    assert "\x1b[?25h" in written.getvalue()


def test_the_table_shows_intervals_n_chance_and_majority() -> None:
    written = io.StringIO()
    console = Console(file=written, width=PLAIN_WIDTH)
    console.print(Cycles([SUMMARY]))
    console.print(states_table(SUMMARY))
    text = written.getvalue()
    for shown in (
        "2: 50.0% [15.0, 85.0] n=4",
        "45.0%",
        "32 -> 33",
        "chance 10.0%, majority class 11.0%, threshold 40%",
    ):
        assert shown in text
    assert "below_threshold" in text


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, "-"), (0, "0 s"), (61, "1 min 01 s"), (3 * 3600 + 120, "3 h 02 min")]
)
def test_durations_read_as_people_say_them(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown
