"""Tokens and shingles of a program: those of the standard library's tokenizer, whatever the text."""

from __future__ import annotations

import ast
import hashlib
import io
import struct
import tokenize
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox_image.shingles import scan, shingles, tokens


def test_tokens_drop_comments_and_layout() -> None:
    assert tokens("# c\nif x :\n    y = 'a b' # d\n") == ["if", "x", ":", "y", "=", "'a b'"]


def reference(text: str) -> list[str]:
    """The tokens that the standard library's lexer gives, in brackets, where it looks at no indentation."""
    found = list(tokenize.generate_tokens(io.StringIO(f"(\n{text}\n)", newline=None).readline))
    end = next(index for index in range(len(found) - 1, -1, -1) if found[index].string == ")")
    dropped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE)
    return [token.string for token in found[1:end] if token.type not in dropped and not token.string.isspace()]


@pytest.mark.parametrize(
    "text",
    [
        Path(__file__).read_text(encoding="utf-8"),
        "x = .5 + 1. + 1.e5 + 1e-5j + 0x_fF + 0b1_0 + 0o17 + 1_000.0_1 + 00 + 1 if x else.5",
        "a **= b // c >> d\na <<= e\na //= f\na >>= g\na @= h",
        "def f(a, *b, **c) -> 'x':\n    return a[1:2, ...], {**c}, (y := 3), a @ b, ~a, a != b",
        "rb'\\\\' ; Rb\"\"\"a\"b\"\"\" ; f'{x!r:>{y}}' ; u'' ; b'' ; F\"\" ; 'a' 'b'\"c\"",
        "if'a'in\"b\"or'''c'''is not'd':pass",
        "x = 'a\\\nb' + '''c\n'd''\n# no comment\n'''  # one\n\\\n# two",
        "x = \\\n    1\n\fy = 2\r\nz = 3\rw = '''a\r\nb\rc'''",
        "é = 'ü'; 变量 = é; x·y = ℘ = a1",
        "",
        "#",
    ],
)
def test_tokens_are_those_of_the_standard_library(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ast.parse(text)
    assert tokens(text) == reference(text)


PIECES = (
    "x 1 .5 1e5 0x1F 1.j ... . , : := -> ** **= // @ ~ != <<= ( ) [ ] { } 'a' \"b\" '''c''' rb'd' f'e' # if in lambda"
    " not é · '\\'' '\\\\' = == * + ;"
).split()


@settings(max_examples=1000)
@given(st.lists(st.sampled_from([*PIECES, " ", "\n", "\t", "\f", "\r", "\\\n"]), max_size=12))
def test_tokens_of_any_program_are_those_of_the_standard_library(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError):
        return
    assert tokens(text) == reference(text)


def test_lexemes_say_where_comments_and_long_strings_stand() -> None:
    text = "x = 1  # one\r\ny = '''a\n# no\n'''; z = 2 # two\r# three\n"
    found = list(scan(text))
    assert [(lexeme.row, lexeme.column) for lexeme in found if lexeme.kind == "comment"] == [(1, 7), (4, 11), (5, 0)]
    assert [(lexeme.row, lexeme.last_row) for lexeme in found if lexeme.last_row > lexeme.row] == [(2, 4)]


def test_tokens_of_odd_indentation_that_python_accepts_are_found() -> None:
    text = "def f():\n\\\n   \n        x = 1\n        return x\n\ndef g():\n    return 2\n"
    ast.parse(text)
    assert tokens(text)[:5] == ["def", "f", "(", ")", ":"]


def test_shingles_are_sorted_unique_little_endian_hashes() -> None:
    packed = shingles(["a"] * 30)
    assert len(packed) == 8
    packed = shingles([str(number) for number in range(30)])
    numbers = struct.unpack(f"<{len(packed) // 8}Q", packed)
    assert len(numbers) == 21
    assert list(numbers) == sorted(set(numbers))


def test_shingles_are_the_hashes_of_every_run_of_tokens() -> None:
    words = ["é", "=", "'ü'", "(", ")", "x", "=", "'ü'", "(", ")"]
    for size in (1, 3, 10, 11):
        runs = [words[start : start + size] for start in range(max(1, len(words) - size + 1))]
        hashes = {hashlib.blake2b("\0".join(run).encode(), digest_size=8).digest() for run in runs}
        assert shingles(words, size) == b"".join(sorted(hashes, key=lambda value: value[::-1]))


def test_a_program_shorter_than_a_shingle_has_one_and_an_empty_one_none() -> None:
    assert len(shingles(["x", "=", "1"])) == 8
    assert shingles(["x", "=", "1"]) != shingles(["x=", "1"])
    assert shingles([]) == b""
