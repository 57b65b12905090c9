"""Files of lines are read up to where a kill tore them, and grow from there; others appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.run.disk import Lines, append_line, read_lines, write


@pytest.mark.parametrize(
    ("content", "whole", "torn"),
    [
        (b"", (), b""),
        (b"one", (), b"one"),
        (b"one\n", (b"one",), b""),
        (b"one\n\ntwo\r\nthr", (b"one", b"", b"two\r"), b"thr"),
        ("one\u2028\x85\x0b\n".encode(), ("one\u2028\x85\x0b".encode(),), b""),
    ],
)
def test_a_line_ends_with_a_newline_and_with_nothing_else(
    content: bytes, whole: tuple[bytes, ...], torn: bytes
) -> None:
    lines = Lines.of(content)
    assert (lines.whole, lines.torn) == (whole, torn)
    assert content == content[: lines.size] + torn


def test_a_line_takes_the_place_of_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.jsonl"
    append_line(path, b"one")
    path.write_bytes(path.read_bytes() + b"half of tw")
    append_line(path, b"two")
    assert read_lines(path) == Lines((b"one", b"two"))


def test_a_missing_file_has_no_lines_and_one_that_cannot_be_read_is_our_failure(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "missing") == Lines(())
    with pytest.raises(InfrastructureError, match="cannot be read"):
        read_lines(tmp_path)


def test_what_is_private_is_its_owners_and_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path, partial = tmp_path / "folder" / "key", tmp_path / "folder" / "key.part"
    for content in (b"first", b"second"):
        write(path, content, partial=partial, private=True)
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert not partial.exists()


def test_a_file_that_cannot_be_replaced_stays_and_nothing_else_does(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(InfrastructureError, match=r"file: cannot be written: Is a directory$"):
        write(tmp_path / "file", b"content", partial=tmp_path / "file.part")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
