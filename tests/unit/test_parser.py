"""What the parser says of honest and of hostile text."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import struct
import tokenize
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox_image import completion, wire
from sandbox_image.parser import CAUSE_LIMIT, Inspection, inspect
from sandbox_image.shingles import scan, shingles, tokens

CORE = """\
import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.layers = nn.Linear(in_shape[1], out_shape[0])

    def forward(self, x):
        return self.layers(x.mean((2, 3)))
"""

FULL = (
    CORE
    + """
    def train_setup(self, prm):
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm['lr'])

    def learn(self, train_data):
        pass


def supported_hyperparameters():
    return {'lr', 'momentum'}
"""
)


def read(text: str, *, complete: bool = False, strip: bool = False, compact: bool = False) -> Inspection:
    return inspect(text.encode(), complete=complete, strip=strip, compact=compact)


def test_a_program_with_the_whole_contract_is_ok_and_runs_unchanged() -> None:
    found = read(FULL, complete=True)
    assert (found.state, found.stage, found.cause) == ("ok", None, None)
    assert found.program == FULL.encode()
    assert found.completed == ()
    assert found.imports == ("torch",)
    assert found.hyperparameters == ("lr", "momentum")


@pytest.mark.parametrize(
    "source",
    [
        b"class Net(:",
        b"x = 1\x00",
        b"\xff\xfe",
        b"x = '\xe9'",
        b"if True:\nx = 1",
        b"\tif x:\n        y\n\tz",
        b"(" * 5000 + b")" * 5000,
        b"-" * 200_000 + b"1",
        b"x = " + b"[" * 150 + b"]" * 150 + b"\n" + b"a." * 50_000 + b"b\n!",
        b"x = " + b"9" * 5000,
        b"\\",
        b"'''",
        b"f'{'",
        b"# coding: latin-1\nx = '\xe9'\n",
    ],
)
def test_text_that_is_no_program_is_a_syntax_error_with_one_printable_line(source: bytes) -> None:
    found = inspect(source, complete=True, strip=True, compact=True)
    assert (found.state, found.stage) == ("syntax_error", "parse")
    assert found.cause is not None
    assert found.cause.isprintable()
    assert 0 < len(found.cause) <= CAUSE_LIMIT


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_parser_raise(source: bytes) -> None:
    assert inspect(source, complete=True, strip=True, compact=True).state in {"ok", "syntax_error", "contract"}


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*CORE.splitlines(keepends=True), "\f", "\r", "\t", "    ", "\\\n", "# c\n", "'''", ";"]))
)
def test_no_shuffled_program_makes_the_parser_raise(parts: list[str]) -> None:
    found = read("".join(parts), complete=True, strip=True, compact=True)
    assert found.state in {"ok", "syntax_error", "contract"}
    ast.parse(found.program or b"")


def test_a_lying_coding_cookie_does_not_change_how_the_text_is_read() -> None:
    plain = read(FULL.replace("super", "é = 'ü'; super"))
    lying = read("# -*- coding: utf-7 -*-\n" + FULL.replace("super", "é = 'ü'; super"))
    assert lying.state == "ok"
    assert lying.shingles == plain.shingles


def test_a_byte_order_mark_is_tolerated() -> None:
    assert inspect(b"\xef\xbb\xbf" + FULL.encode(), complete=False, strip=False).program == FULL.encode()


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ("class Net(nn.Module)", "class Other(nn.Module)", "lacks class Net at module level"),
        ("class Net(nn.Module)", "class Net", "class Net does not derive from nn.Module"),
        ("class Net(nn.Module)", "class Net(object)", "class Net does not derive from nn.Module"),
        ("def forward", "def backward", "lacks Net.forward"),
        ("def forward", "async def forward", "lacks Net.forward"),
        ("prm, device)", "device)", "Net.__init__ does not take (in_shape, out_shape, prm, device)"),
        ("prm, device)", "prm, device, *, more)", "Net.__init__ does not take (in_shape, out_shape, prm, device)"),
        ("def learn", "def teach", "lacks Net.learn"),
        ("def supported", "def unsupported", "lacks supported_hyperparameters()"),
    ],
)
def test_a_missing_part_of_the_contract_is_named(old: str, new: str, cause: str) -> None:
    found = read(FULL.replace(old, new))
    assert (found.state, found.stage, found.cause) == ("contract", "contract", cause)
    assert found.tokens > 0


@pytest.mark.parametrize("base", ["nn.Module", "torch.nn.Module", "Module", "Backbone"])
def test_any_base_class_may_lead_to_a_module(base: str) -> None:
    assert read(FULL.replace("nn.Module", base)).state == "ok"


@pytest.mark.parametrize(
    ("literal", "keys"),
    [
        ("{'lr', 'momentum'}", ("lr", "momentum")),
        ("['momentum', 'lr']", ("lr", "momentum")),
        ("('lr',)", ("lr",)),
        ("{'lr': 0.1, 'dropout': 0.2}", ("dropout", "lr")),
        ("set(['lr'])", ("lr",)),
        ("KEYS", None),
        ("{'lr', *KEYS}", None),
        ("{'lr', 1}", None),
        ("{'\\ud800'}", None),
        ("{'lr', 'a' * 2}", None),
        ("set()", None),
    ],
)
def test_hyperparameters_are_read_from_one_literal_or_are_unknown(literal: str, keys: tuple[str, ...] | None) -> None:
    found = read(FULL.replace("{'lr', 'momentum'}", literal))
    assert found.state == "ok"
    assert found.hyperparameters == (keys or ())
    assert found.hyperparameters_known is (keys is not None)


def test_imports_anywhere_are_reported_by_their_top_level_package() -> None:
    extra = "import os.path, numpy as np\nfrom . import y\n\ndef f():\n    from a.b import c\n"
    assert read(extra + FULL).imports == (".", "a", "numpy", "os", "torch")


def test_the_findings_of_the_worst_program_fit_into_their_frame() -> None:
    letter = chr(0x10330)
    packages = "".join(f"import {letter * 46}{chr(0x10330 + index)}\n" for index in range(26))
    keys = ", ".join(repr(letter * 46 + chr(0x10330 + index)) for index in range(26))
    found = read(packages + FULL.replace("'lr', 'momentum'", keys))
    assert (len(found.imports), len(found.hyperparameters)) == (27, 26)
    assert len(json.dumps([found.imports, found.hyperparameters])) * 2 < wire.JSON_LIMIT
    assert read("".join(f"import p{index}\n" for index in range(60)) + FULL).state == "contract"


def test_completion_appends_what_is_missing_and_says_so() -> None:
    found = read(CORE, complete=True)
    assert found.state == "ok"
    assert found.completed == ("train_setup", "learn", "supported_hyperparameters")
    assert found.program.startswith(CORE.encode())
    assert found.hyperparameters == ("lr", "momentum")
    assert inspect(found.program, complete=False, strip=False).state == "ok"


def test_completion_adds_imports_that_nothing_binds_after_what_must_come_first() -> None:
    bare = '"""A doc."""\nfrom __future__ import annotations\n' + CORE.replace(
        "import torch\nimport torch.nn as nn\n", ""
    )
    found = read(bare, complete=True)
    assert found.completed[:2] == ("import torch", "import torch.nn as nn")
    assert found.program.decode().splitlines()[1:4] == [
        "from __future__ import annotations",
        "import torch",
        "import torch.nn as nn",
    ]


@pytest.mark.parametrize(
    "text", [CORE.replace("    ", "\t"), CORE.replace("\n", "\r\n"), CORE.rstrip("\n"), CORE + "x = 1"]
)
def test_completion_follows_the_layout_of_the_program(text: str) -> None:
    assert read(text, complete=True).state == "ok"


def test_completion_leaves_parts_that_are_there_alone() -> None:
    own = CORE + "\n    def learn(self, train_data):\n        return 7\n"
    found = read(own, complete=True)
    assert found.completed == ("train_setup", "supported_hyperparameters")
    assert found.program.startswith(own.encode())


def test_a_net_without_forward_is_not_completed() -> None:
    assert read(CORE.replace("def forward", "def other"), complete=True).cause == "lacks Net.forward"


def test_stripping_removes_the_standard_parts_and_nothing_else() -> None:
    found = read(FULL, strip=True)
    assert found.stripped == CORE.encode()
    assert found.program == FULL.encode()


def test_stripping_takes_decorators_along_and_keeps_helpers() -> None:
    text = (
        FULL.replace("    def learn", "    @torch.enable_grad()\n    def learn") + "\n\ndef helper():\n    return 1\n"
    )
    stripped = read(text, strip=True).stripped
    assert stripped is not None
    assert b"enable_grad" not in stripped
    assert b"def helper" in stripped


def test_compacting_drops_comments_docstrings_and_unused_imports_and_keeps_strings() -> None:
    text = "# top\nimport os\nimport torch.optim as optim\n" + FULL.replace(
        "        super().__init__()",
        '        """Doc\n\n\n        # no comment\n        """\n        super().__init__()  # why\n'
        '        self.note = """# kept\n\n\n\n# kept"""',
    )
    stripped = read(text, strip=True, compact=True).stripped
    assert stripped is not None
    assert b"optim" not in stripped
    assert b"import os" not in stripped
    assert b"Doc" not in stripped
    assert b"why" not in stripped
    assert b'"""# kept\n\n\n\n# kept"""' in stripped


def test_a_docstring_that_is_the_whole_body_stays() -> None:
    text = FULL + '\n\ndef helper():\n    """Only this."""\n'
    stripped = read(text, strip=True, compact=True).stripped
    assert stripped is not None
    ast.parse(stripped)


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
        FULL,
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


@settings(deadline=None, max_examples=1000)
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


def test_the_standard_parts_are_python() -> None:
    for part in (completion.TRAIN_SETUP, completion.LEARN, completion.SUPPORTED):
        ast.parse(part)
