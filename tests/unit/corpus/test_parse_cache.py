"""The cache of inspections: what was inspected once is not inspected again, unless it is in doubt."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from orchestrator.corpus.parse_cache import KEPT, Inspections
from orchestrator.records import digest
from orchestrator.sandbox import Parsed
from orchestrator.sandbox.parser import Findings
from sandbox_image.parser import inspect

HEAD = b"class Net(nn.Module):\n    def __init__(self, in_shape, out_shape, prm, device):\n        pass\n"
PROGRAM = HEAD + b"    def forward(self, x):\n        return x\n"
PROGRAMS = [PROGRAM + b"x = %d\n" % number for number in range(60)] + [b"x =", b"", b"\xef\xbb\xbfx = 1\n"]


class Parser:
    """Inspects in this process, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def parse_all(self, sources: Iterable[bytes], *, complete: bool, strip: bool, compact: bool) -> Iterator[Parsed]:
        for source in sources:
            self.asked.append(source)
            if source == b"odd":
                yield Parsed(state="killed", stage="parse", cause="the parser died of it")
                continue
            found = inspect(source, complete=complete, strip=strip, compact=compact)
            said = {name: getattr(found, name) for name in Findings.model_fields}
            yield Parsed(program=found.program, stripped=found.stripped, shingles=found.shingles, **said)


def ask(
    folder: Path, sources: list[bytes], *, name: bytes = b"", complete: bool = True, strip: bool = True
) -> tuple[list[Parsed], list[bytes]]:
    """Return the answers, and what had to be inspected for them."""
    parser = Parser()
    with Inspections(parser.parse_all, folder=folder, parser=digest(name)) as inspections:
        answers = list(inspections.parse_all(sources, complete=complete, strip=strip, compact=False))
    return answers, parser.asked


def test_a_program_is_inspected_once_and_the_answer_stays_the_same(tmp_path: Path) -> None:
    first, asked = ask(tmp_path, PROGRAMS)
    assert asked == PROGRAMS
    again, asked = ask(tmp_path, PROGRAMS)
    assert asked == []
    assert again == first
    assert {parsed.state for parsed in first} == {"ok", "syntax_error", "contract"}


def test_unknown_programs_among_known_ones_come_back_in_their_order(tmp_path: Path) -> None:
    ask(tmp_path, PROGRAMS[::2])
    found, asked = ask(tmp_path, [*PROGRAMS, *PROGRAMS[:3]])
    assert asked == PROGRAMS[1::2]
    assert found == ask(tmp_path / "other", [*PROGRAMS, *PROGRAMS[:3]])[0]


def test_other_switches_and_another_parser_are_asked_anew(tmp_path: Path) -> None:
    ask(tmp_path, PROGRAMS[:2])
    assert ask(tmp_path, PROGRAMS[:2], complete=False)[1] == PROGRAMS[:2]
    assert ask(tmp_path, PROGRAMS[:2], strip=False)[1] == PROGRAMS[:2]
    assert ask(tmp_path, PROGRAMS[:2], name=b"another")[1] == PROGRAMS[:2]
    assert ask(tmp_path, PROGRAMS[:2])[1] == []


def test_what_may_have_been_bad_luck_is_tried_again(tmp_path: Path) -> None:
    ask(tmp_path, [b"odd", PROGRAM])
    assert ask(tmp_path, [b"odd", PROGRAM])[1] == [b"odd"]


@pytest.mark.parametrize("column", ["findings", "shingles", "checksum", "program", "stripped"])
def test_a_damaged_entry_is_inspected_again(tmp_path: Path, column: str) -> None:
    first, _ = ask(tmp_path, PROGRAMS[:3])
    with sqlite3.connect(next(tmp_path.glob("*.sqlite"))) as file:
        file.execute(f"update inspections set {column} = x'00' where key = (select min(key) from inspections)")  # noqa: S608
    file.close()
    found, asked = ask(tmp_path, PROGRAMS[:3])
    assert len(asked) == 1
    assert found == first
    assert ask(tmp_path, PROGRAMS[:3])[1] == []


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    first, _ = ask(tmp_path, PROGRAMS)
    path = next(tmp_path.glob("*.sqlite"))
    content = bytearray(path.read_bytes())
    for damaged in (b"no database", content[: len(content) // 2], content[:4096] + b"\xff" * (len(content) - 4096)):
        path.write_bytes(damaged)
        assert ask(tmp_path, PROGRAMS)[0] == first
    assert ask(tmp_path, PROGRAMS)[1] == []


def test_only_the_files_of_the_parsers_used_last_are_kept(tmp_path: Path) -> None:
    for number in range(KEPT + 3):
        ask(tmp_path, [PROGRAM], name=b"%d" % number)
    assert len(list(tmp_path.glob("*.sqlite"))) == KEPT
    assert ask(tmp_path, [PROGRAM], name=b"%d" % (KEPT + 2))[1] == []


def test_what_was_inspected_before_an_interruption_is_known_after_it(tmp_path: Path) -> None:
    parser = Parser()
    with Inspections(parser.parse_all, folder=tmp_path, parser=digest(b"")) as inspections:
        answers = inspections.parse_all(PROGRAMS, complete=True, strip=True)
        for _ in range(10):
            next(answers)
        answers.close()
    assert ask(tmp_path, PROGRAMS[:10])[1] == []
