"""Many programs through one parser, each to blame for itself alone."""

from __future__ import annotations

import pytest

from orchestrator.errors import InfrastructureError
from tests.support.parser_container import BABBLER, KILLER, SLEEPER, ParserContainer, parser

HEAD = b"class Net(nn.Module):\n    def forward(self, x):\n        return x\n"
PROGRAMS = [HEAD + b"x = %d\n" % number for number in range(30)] + [b"class Net(:\n", b""]


def test_no_container_reads_more_programs_than_it_may() -> None:
    log: list[list[bytes]] = []
    with parser(log, uses=7) as one, parser([]) as other:
        found = [one.parse(source, complete=True, strip=True, compact=True) for source in PROGRAMS]
        assert found == [other.parse(source, complete=True, strip=True, compact=True) for source in PROGRAMS]
    assert [len(sent) for sent in log] == [7, 7, 7, 7, 4]
    assert [source for sent in log for source in sent] == PROGRAMS


@pytest.mark.parametrize(
    ("odd", "state"), [(KILLER, "killed"), (BABBLER, "killed"), (SLEEPER, "timeout")], ids=["dies", "babbles", "hangs"]
)
def test_an_odd_program_is_tried_again_alone_and_costs_no_other_its_answer(odd: bytes, state: str) -> None:
    log: list[list[bytes]] = []
    with parser(log) as one:
        assert one.parse(PROGRAMS[0], complete=False).state == "contract"
        assert one.parse(odd, complete=False).state == state
        assert one.parse(PROGRAMS[1], complete=False).state == "contract"
    assert log == [[PROGRAMS[0], odd], [odd], [PROGRAMS[1]]]


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


def test_a_container_whose_answer_nobody_waited_for_is_not_asked_again() -> None:
    made: list[ParserContainer] = []
    with parser([], made=made) as one:
        assert one.parse(PROGRAMS[0], complete=False).program == PROGRAMS[0]
        made[0].call_off()
        with pytest.raises(InfrastructureError, match="called off"):
            one.parse(PROGRAMS[1], complete=False)
        assert made[0].closed
        assert one.parse(PROGRAMS[9], complete=False).program == PROGRAMS[9]
    assert all(container.closed for container in made)
