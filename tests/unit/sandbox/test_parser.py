"""Many programs through one parser: sent ahead, answered in order, and each to blame for itself alone."""

from __future__ import annotations

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.sandbox.parser import AHEAD
from tests.support.parser_container import BABBLER, KILLER, SLEEPER, ParserContainer, parser

HEAD = b"class Net(nn.Module):\n    def forward(self, x):\n        return x\n"
PROGRAMS = [HEAD + b"x = %d\n" % number for number in range(30)] + [b"class Net(:\n", b""]


@pytest.mark.parametrize("uses", [1, 3, 7, 200])
def test_programs_are_answered_in_order_just_as_one_by_one(uses: int) -> None:
    with parser([], uses=uses) as one, parser([]) as other:
        found = list(one.parse_all(PROGRAMS, complete=True, strip=True, compact=True))
        assert found == [other.parse(source, complete=True, strip=True, compact=True) for source in PROGRAMS]


def test_no_container_reads_more_programs_than_it_may() -> None:
    log: list[list[bytes]] = []
    with parser(log, uses=7) as one:
        list(one.parse_all(PROGRAMS, complete=False))
    assert [len(sent) for sent in log] == [7, 7, 7, 7, 4]
    assert [source for sent in log for source in sent] == PROGRAMS


def test_programs_are_sent_before_the_first_is_answered() -> None:
    log: list[list[bytes]] = []
    with parser(log) as one:
        answers = one.parse_all(PROGRAMS, complete=False)
        next(answers)
        assert log[0] == PROGRAMS[:AHEAD]
        answers.close()


@pytest.mark.parametrize(
    ("odd", "state"), [(KILLER, "killed"), (BABBLER, "killed"), (SLEEPER, "timeout")], ids=["dies", "babbles", "hangs"]
)
@pytest.mark.parametrize("place", [0, 5, len(PROGRAMS)])
def test_an_odd_program_is_tried_alone_and_costs_no_other_its_answer(odd: bytes, state: str, place: int) -> None:
    log: list[list[bytes]] = []
    with parser(log) as one, parser([]) as other:
        found = list(one.parse_all([*PROGRAMS[:place], odd, *PROGRAMS[place:]], complete=False))
        assert found.pop(place).state == state
        assert found == [other.parse(source, complete=False) for source in PROGRAMS]
    assert log[1] == [odd]


@pytest.mark.parametrize("narrow", [1, 2, 5])
def test_a_container_that_does_not_take_a_program_is_sent_no_other_and_none_is_lost(narrow: int) -> None:
    log: list[list[bytes]] = []
    with parser(log, narrow=narrow) as one, parser([]) as other:
        found = list(one.parse_all(PROGRAMS, complete=False))
        assert found == [other.parse(source, complete=False) for source in PROGRAMS]
    assert [len(sent) for sent in log[:-1]] == [narrow] * (len(log) - 1)
    assert [source for sent in log for source in sent] == PROGRAMS


def test_the_source_is_what_runs_where_the_parser_changed_nothing() -> None:
    program = HEAD.replace(
        b"    def forward", b"    def __init__(self, in_shape, out_shape, prm, device): ...\n    def forward"
    )
    with parser([]) as one:
        assert one.parse(b"x = 1\n", complete=False).program == b"x = 1\n"
        assert one.parse(b"x =", complete=False).program == b""
        completed = one.parse(program, complete=True)
        assert completed.completed
        assert completed.program.startswith(b"import torch")


def test_a_container_that_does_not_come_up_is_closed_and_never_asked() -> None:
    made: list[ParserContainer] = []
    with parser([], made=made, mute=1) as one:
        with pytest.raises(InfrastructureError, match="was not ready"):
            one.parse(PROGRAMS[0], complete=False)
        assert made[0].closed
        assert one.parse(PROGRAMS[0], complete=False).program == PROGRAMS[0]
        assert [container.sent for container in made] == [[], [PROGRAMS[0]]]


def test_a_container_whose_answers_nobody_waits_for_is_not_asked_again() -> None:
    made: list[ParserContainer] = []
    with parser([], made=made) as one:
        answers = one.parse_all(PROGRAMS, complete=False)
        next(answers)
        answers.close()
        assert made[0].closed
        assert one.parse(PROGRAMS[9], complete=False).program == PROGRAMS[9]
    assert all(container.closed for container in made)
