"""What the parser says of honest and of hostile text."""

from __future__ import annotations

import ast
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_image import completion, wire
from sandbox_image.parser import CAUSE_LIMIT, Inspection, inspect

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


@given(st.binary(max_size=200))
def test_no_bytes_make_the_parser_raise(source: bytes) -> None:
    assert inspect(source, complete=True, strip=True, compact=True).state in {"ok", "syntax_error", "contract"}


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


def test_the_standard_parts_are_python() -> None:
    for part in (completion.TRAIN_SETUP, completion.LEARN, completion.SUPPORTED):
        ast.parse(part)


BASE = """
class Trainable(nn.Module):
    def train_setup(self, prm):
        pass

    def learn(self, train_data):
        pass
"""
DERIVED = CORE.replace("class Net(nn.Module)", f"{BASE.strip()}\n\n\nclass Net(Trainable)")


@pytest.mark.parametrize(
    "text",
    [
        DERIVED,
        DERIVED.replace("class Net(Trainable)", "class Mixed(Trainable):\n    pass\n\n\nclass Net(Mixed)"),
        DERIVED.replace("class Net(Trainable)", "class Net(Trainable, Generic[T])"),
        CORE + "\n    train_setup = learn = None\n",
        CORE + "\n\nNet.train_setup = Net.learn = lambda self, other: None\n",
    ],
)
def test_completion_replaces_no_method_that_the_network_has_from_elsewhere(text: str) -> None:
    found = read(text, complete=True)
    assert (found.state, found.completed) == ("ok", ("supported_hyperparameters",))


def test_a_network_may_have_all_its_methods_from_a_base_class_or_another_name() -> None:
    for end in ("class Net(Base):\n    pass\n", "Net = Base\n"):
        text = f"{FULL.replace('class Net', 'class Base')}\n\n{end}"
        assert read(text).state == "ok", end
    sequence = (
        "import torch.nn as nn\n\nclass Net(nn.Sequential):\n    def __init__(self, in_shape, out_shape, prm, device):"
    )
    assert read(f"{sequence}\n        super().__init__()\n", complete=True).state == "ok"


def test_a_base_class_that_cannot_construct_it_is_named() -> None:
    text = FULL.replace("class Net", "class Base").replace("in_shape, out_shape, prm, device", "width")
    assert "does not take" in (read(f"{text}\n\nclass Net(Base):\n    pass\n").cause or "")


def test_a_class_on_one_line_is_not_completed() -> None:
    text = f"{CORE.replace('class Net', 'class Base')}\n\nclass Net(Base): pass\n"
    assert read(text, complete=True).cause == "class Net stands on one line, and lacks what cannot be added there"


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("return 1", "outside function"),
        ("break", "outside loop"),
        ("def f(a, a): pass", "duplicate argument"),
        ("from __future__ import annotations", "beginning of the file"),
        ("def f():\n    x = 1\n    nonlocal y", "nonlocal"),
        ("await x", "outside"),
    ],
)
def test_what_the_compiler_refuses_is_a_syntax_error_with_its_line(end: str, said: str) -> None:
    found = read(f"{FULL}\n{end}\n")
    assert (found.state, found.stage) == ("syntax_error", "parse")
    assert said in (found.cause or "")
    assert "(line " in (found.cause or "")
