"""The lexer tokens of a program and the hashed shingles that near-duplicates are found by."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

SIZE = 10
SEPARATOR = "\x00"  # Python source cannot hold a NUL, so no token can either
LEXEME = re.compile(
    r"""
      ( [^\W\d]\w*+(?!['"])                                          # a name, the most frequent, before all else
      | \*\*=? | //=? | >>=? | <<=? | \.\.\. | -> | :=               # operators and delimiters
      | [-+*/%&|^@=<>!]= | [-+*/%&|^@=<>()[\]{},:;~] | \.(?![0-9])
      | (?: [bB][rR]? | [rR][bBfF]? | [fF][rR]? | [uU] )?            # a string, with its prefix
        (?: '''[^'\\]*+(?:(?:\\.|'(?!''))[^'\\]*+)*+'''
          | \"""[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*+\"""
          | '[^'\\\n]*+(?:\\.[^'\\\n]*+)*+'
          | "[^"\\\n]*+(?:\\.[^"\\\n]*+)*+" )
      | 0[xX](?:_?[0-9a-fA-F])++ | 0[bB](?:_?[01])++ | 0[oO](?:_?[0-7])++
      | (?: [0-9](?:_?[0-9])*+(?:\.(?:[0-9](?:_?[0-9])*+)?)? | \.[0-9](?:_?[0-9])*+ )
        (?: [eE][-+]?[0-9](?:_?[0-9])*+ )?[jJ]?
      | \w+                                                          # a keyword that a string follows at once
      | [^\s\\\#] )                                                  # what is left of an identifier beyond \w
    | \#[^\n]*                                                       # a comment, in no group
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Lexeme:
    """A token or comment and where it stands; rows count from 1, columns from 0."""

    kind: Literal["token", "comment"]
    row: int
    column: int
    last_row: int


def scan(text: str) -> Iterator[Lexeme]:
    """Yield where the tokens and comments of a program that parses stand."""
    unified = _unified(text)
    row, start = 1, 0  # of the line that the scan has reached
    for found in LEXEME.finditer(unified):
        place = unified.rfind("\n", start, found.start()) + 1
        if place:
            row, start = row + unified.count("\n", start, found.start()), place
        last = row + unified.count("\n", found.start(), found.end())
        yield Lexeme("token" if found[1] else "comment", row, found.start() - start, last)


def tokens(text: str) -> list[str]:
    """Return the keywords, identifiers, literals, operators and delimiters of a program that parses, in order.

    Comments and layout are dropped (paper, Appendix A.1). The tokens are those of `tokenize`, which takes five times
    as long, and refuses some indentation that Python accepts; of text that is not Python they mean nothing.
    """
    return [token for token in LEXEME.findall(_unified(text)) if token]


def shingles(words: list[str], size: int = SIZE) -> bytes:
    """Return the set of contiguous `size`-grams of `words` as sorted, unique, little-endian 64-bit hashes.

    A program shorter than one shingle has one, made of all its tokens; an empty one has none.
    """
    if not words:
        return b""
    joined = SEPARATOR.join(words).encode()
    lengths = [len(word) + 1 for word in joined.split(SEPARATOR.encode())]
    places = list(accumulate(lengths, initial=0))  # where each token begins, and where one after the last would
    grams = zip(places, places[min(size, len(words)) :], strict=False)
    hashes = [hashlib.blake2b(joined[start : end - 1], digest_size=8).digest() for start, end in grams]
    return array("Q", sorted(set(array("Q", b"".join(hashes))))).tobytes()


def _unified(text: str) -> str:
    """Return `text` with every line ended as Python reads it: by a line feed."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
