"""The lexer tokens of a program and the hashed shingles that near-duplicates are found by."""

from __future__ import annotations

import hashlib
import io
import struct
import tokenize

SIZE = 10
SEPARATOR = b"\x00"  # Python source cannot hold a NUL, so no token can either
LAYOUT = frozenset(
    {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
)


def scan(text: str) -> list[tokenize.TokenInfo]:
    """Return the tokens of a program that parses, comments included; rows count from 1, indentation is not looked at.

    Raises:
        SyntaxError, tokenize.TokenError: `text` is not Python.
    """
    return [
        token._replace(start=(token.start[0] - 1, token.start[1]), end=(token.end[0] - 1, token.end[1]))
        for token in _bracketed(text)
    ]


def tokens(text: str) -> list[str]:
    """Return the keywords, identifiers, literals, operators and delimiters of `text`, in order.

    Comments and layout are dropped (paper, Appendix A.1).

    Raises:
        SyntaxError, tokenize.TokenError: `text` is not Python.
    """
    return [token.string for token in _bracketed(text) if token.type not in LAYOUT and not token.string.isspace()]


def shingles(words: list[str], size: int = SIZE) -> bytes:
    """Return the set of contiguous `size`-grams of `words` as sorted, unique, little-endian 64-bit hashes.

    A program shorter than one shingle has one, made of all its tokens; an empty one has none.
    """
    encoded = [word.encode() for word in words]
    last = max(len(encoded) - size + 1, min(len(encoded), 1))
    hashes = {
        hashlib.blake2b(SEPARATOR.join(encoded[start : start + size]), digest_size=8).digest() for start in range(last)
    }
    numbers = sorted(int.from_bytes(value, "little") for value in hashes)
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def _bracketed(text: str) -> list[tokenize.TokenInfo]:
    """Read `text` as if it stood in brackets: `tokenize` refuses some indentation that Python accepts."""
    found = list(tokenize.generate_tokens(io.StringIO(f"(\n{text}\n)", newline=None).readline))
    end = next(index for index in range(len(found) - 1, -1, -1) if found[index].string == ")")
    return found[1:end]
