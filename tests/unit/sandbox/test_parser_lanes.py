"""Several parsers at once give what one gives."""

from __future__ import annotations

import threading

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.sandbox import Parser, Parsers
from tests.support.parser_container import KILLER, ParserContainer, parser

PROGRAMS = [b"x = %d\n" % number for number in range(100)]


def test_programs_come_back_in_their_order_whichever_parser_is_first() -> None:
    log: list[list[bytes]] = []
    turn = threading.Barrier(2)  # no batch begins before another one does: the order of the answers is not that of time

    def make() -> Parser:
        turn.wait(timeout=30)
        return parser(log)

    programs = [*PROGRAMS[:50], KILLER, *PROGRAMS[50:99]]
    found = list(Parsers(make, lanes=2, batch=25).parse_all(programs, complete=False))
    assert [parsed.program for parsed in found] == [*PROGRAMS[:50], b"", *PROGRAMS[50:99]]
    assert found[50].state == "killed"


def test_every_container_is_closed_when_the_caller_stops_early() -> None:
    made: list[ParserContainer] = []
    parsers = Parsers(lambda: parser([], made=made), lanes=3, batch=10)
    answers = parsers.parse_all(PROGRAMS, complete=False)
    assert next(answers).program == PROGRAMS[0]
    answers.close()
    assert made
    assert all(container.closed for container in made)


def test_what_keeps_a_container_from_starting_is_raised() -> None:
    def make() -> Parser:
        raise InfrastructureError("no engine")

    with pytest.raises(InfrastructureError, match="no engine"):
        list(Parsers(make, lanes=2, batch=10).parse_all(PROGRAMS, complete=False))


def test_nothing_is_started_for_nothing() -> None:
    log: list[list[bytes]] = []
    assert list(Parsers(lambda: parser(log), lanes=2, batch=10).parse_all([], complete=False)) == []
    assert log == []
