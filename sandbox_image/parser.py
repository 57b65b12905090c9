"""Read a program without running it: does it parse, does it meet the contract, what would run, what is it made of."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass, replace
from typing import Literal

from sandbox_image import completion, contract, shingles

CAUSE_LIMIT = 200
NESTING = "nested too deeply to parse"


@dataclass(frozen=True)
class Inspection:
    """What the parser found; everything in it is short or bounded by the length of the source.

    `program` is the text that would run: the source, or its completed form. `stripped` is the text without the parts
    that completion restores, if it was asked for and is possible. `hyperparameters` is empty and
    `hyperparameters_known` false if the keys cannot be told from the text alone. Tokens and shingles are of the
    source as written; `shingles` is a sorted array of little-endian 64-bit hashes.
    """

    state: Literal["ok", "syntax_error", "contract"]
    stage: Literal["parse", "contract"] | None = None
    cause: str | None = None
    program: bytes = b""
    stripped: bytes | None = None
    completed: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    hyperparameters: tuple[str, ...] = ()
    hyperparameters_known: bool = False
    tokens: int = 0
    shingles: bytes = b""


def inspect(
    source: bytes, *, complete: bool, strip: bool, compact: bool = False, shingle: int = shingles.SIZE
) -> Inspection:
    """Inspect `source`; never raise, whatever the text.

    The text is read as UTF-8 (a byte order mark is tolerated) whatever a coding cookie claims. `complete` appends the
    standard parts that the contract asks for and the program lacks; `strip` also gives the text without them, and
    `compact` drops comments, docstrings and unused imports from that; `shingle` is the length of one shingle in tokens.
    """
    try:  # hostile text makes the parser raise nearly anything
        text = source.decode("utf-8-sig")
        tree = _parse(text)
        if not strip:  # a program that is about to run; what a corpus holds has run elsewhere
            _compile(text)
        words = shingles.tokens(text)
    except Exception as error:
        return Inspection(state="syntax_error", stage="parse", cause=_cause(error))
    found = Inspection(state="ok", program=text.encode(), tokens=len(words), shingles=shingles.shingles(words, shingle))
    try:
        found = _judge(found, text=text, tree=tree, complete=complete)
        return replace(found, stripped=_stripped(text, compact=compact)) if strip else found
    except Exception as error:
        return replace(found, state="contract", stage="contract", cause=_cause(error))


def _judge(found: Inspection, *, text: str, tree: ast.Module, complete: bool) -> Inspection:
    parts = contract.outline(tree)
    found = replace(found, imports=contract.imported_packages(tree))
    if complete:
        contract.check_core(parts)
        text, completed = completion.complete(text, parts)
        if completed:
            parts = contract.outline(_parse(text))
        found = replace(found, program=text.encode(), completed=completed)
    contract.check(parts)
    names = contract.hyperparameter_names(parts)
    return replace(found, hyperparameters=names or (), hyperparameters_known=names is not None)


def _stripped(text: str, *, compact: bool) -> bytes | None:
    """Return the text without its standard parts, or None unless completing it gives a sound program again."""
    try:
        short = completion.strip(text, contract.outline(_parse(text)))
        if compact:
            short = completion.compact(short, _parse(short))
        restored, _ = completion.complete(short, contract.outline(_parse(short)))
        contract.check(contract.outline(_parse(restored)))
    except (SyntaxError, ValueError, RecursionError, MemoryError, KeyError):
        return None
    return short.encode()


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _compile(text: str) -> None:
    """Raise SyntaxError for what the grammar allows and the compiler does not, as a `return` outside a function."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compile(text, "candidate.py", "exec", dont_inherit=True)


def _cause(error: Exception) -> str:
    if isinstance(error, RecursionError | MemoryError):
        return NESTING
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 at byte {error.start}"
    if isinstance(error, SyntaxError):
        message = f"{error.msg} (line {error.lineno})" if error.lineno else str(error.msg)
    elif isinstance(error, contract.ContractError | ValueError):
        message = str(error)
    else:
        message = f"{type(error).__name__}: {error}"
    printable = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in message[:CAUSE_LIMIT])
    return printable[:CAUSE_LIMIT] or type(error).__name__
