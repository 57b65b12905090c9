"""Which part of an answer is its program, and where generation ends because of it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.answer import LIMIT, extract, is_complete, opens_reasoning

IMPORTS = "import torch\nfrom torch import nn\n"
NET = """class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.head = nn.Linear(in_shape[1], out_shape[0])

    def forward(self, x):
        return self.head(x.mean(dim=(2, 3)))
"""
KEYS = "def supported_hyperparameters():\n    return {'lr', 'momentum'}\n"
TRAINED = NET + "\n    def train_setup(self, prm):\n        self.lr = prm['lr']\n"
CODE = f"{IMPORTS}\n\n{NET}"
OTHER = CODE.replace("head", "exit")
BROKEN = CODE.replace("forward(self, x):", "forward(self, x)")
HALF = CODE[: CODE.index("    def forward")]
SKETCH = "class Net(nn.Module):\n    def __init__(self, ...):\n        ...\n    def forward(self, x):\n        ...\n"
BLOCK = "class Stem(nn.Module):\n    def forward(self, x):\n        return x\n"
USES = CODE.replace("nn.Linear(", "Stem(")
USAGE = "net = Net((1, 3, 8, 8), (10,), {}, 'cpu')\nprint(net)\n"


def fenced(code: str, language: str = "python", mark: str = "```") -> str:
    return f"{mark}{language}\n{code}{mark}\n"


def shifted(text: str, prefix: str) -> str:
    return "".join(f"{prefix}{line}".rstrip(" ") for line in text.splitlines(keepends=True))


def joined(*parts: str) -> str:
    return "\n\n".join(part.removesuffix("\n") for part in parts) + "\n"


SHAPES = {  # what the answer looks like: its text, its program, whether generation ends before the text does or with it
    "a block": (fenced(CODE), CODE, True),
    "a block between sentences": (f"Here.\n\n{fenced(CODE)}\nIt is small.\n", CODE, True),
    "a block of no language": (fenced(CODE, ""), CODE, True),
    "a block with a title": (fenced(CODE, "py title=net.py"), CODE, True),
    "a language with attributes": (fenced(CODE, "{.python .numberLines}"), CODE, True),
    "a language in capitals": (fenced(CODE, "Python3"), CODE, True),
    "a language nobody knows": (fenced(CODE, "neural"), CODE, True),
    "tildes": (fenced(CODE, mark="~~~"), CODE, True),
    "tildes with a backtick in the info": (fenced(CODE, "python `net`", "~~~"), CODE, True),
    "backticks within tildes": (fenced(CODE + "# end\n```\n", mark="~~~"), CODE + "# end\n```\n", True),
    "a longer fence": (fenced(CODE, mark="`````"), CODE, True),
    "a longer closing fence": (f"```python\n{CODE}``````  \n", CODE, True),
    "a shorter fence does not close": (f"````python\n{CODE}# one\n```\n````\n", CODE + "# one\n```\n", True),
    "a fence with words does not close": (f"```python\n{CODE}``` end\n```\n", CODE + "``` end\n", True),
    "a closing fence indented by three": (f"```python\n{CODE}   ```\n", CODE, True),
    "a closing fence indented by four is none": (f"```python\n{CODE}    ```\n", CODE + "    ```\n", False),
    "a block indented by two": (shifted(fenced(CODE), "  "), CODE, True),
    "a fence indented, its code not": (f"  ```python\n{CODE}  ```\n", CODE.replace("\n  ", "\n"), True),
    "no closing fence": (f"```python\n{CODE}", CODE, False),
    "no closing fence, no last line feed": (f"```python\n{CODE}".removesuffix("\n"), CODE, False),
    "cut within the program": (f"```python\n{HALF}", HALF, False),
    "carriage returns": (fenced(CODE).replace("\n", "\r\n"), CODE, True),
    "a block in a list": (f"1. Small.\n2. This:\n\n{shifted(fenced(CODE), '   ')}\n3. Train.\n", CODE, True),
    "a block in a list of a list": (f"- A\n  - B\n\n{shifted(fenced(CODE), '    ')}", CODE, True),
    "a block in a list, its code not": (f"1. This:\n   ```python\n{CODE}   ```\n", CODE, False),
    "a block of ten in a list, its code not": (f"10. This:\n    ```python\n{CODE}    ```\n", CODE, False),
    "all of it indented": (shifted(fenced(CODE), "    "), CODE, False),
    "a bare module after a comment": (f"# net.py\n{CODE}", f"# net.py\n{CODE}", False),
    "a bare module with a decorator": (f"@staticmethod\n{KEYS}{CODE}", f"@staticmethod\n{KEYS}{CODE}", False),
    "a block in a quote": (shifted(fenced(CODE), "> "), CODE, True),
    "a quote ends a block": (shifted(f"```python\n{CODE}", "> ") + "\nIt is small.\n", CODE, False),
    "a list ends a block": (
        "- This:\n\n" + shifted(f"```python\n{CODE}", "  ") + "\nIt is small.\n",
        CODE + "\n",
        False,
    ),
    "only the closing fence": (f"{CODE}```\n\nIt is small.\n", CODE, True),
    "a sentence, and only the closing fence": (f"Here it is:\n\n{CODE}```\nIt is small.\n", CODE, True),
    "a bare module": (CODE, CODE, False),
    "a bare module after blank lines": ("\n\n" + CODE, "\n\n" + CODE, False),
    "a bare module with a docstring": (f'"""A network."""\n\n{CODE}', f'"""A network."""\n\n{CODE}', False),
    "a docstring with a fence": (f'"""As\n```\nx\n```\n"""\n{CODE}', f'"""As\n```\nx\n```\n"""\n{CODE}', False),
    "wrapped in markdown": (f"```markdown\n# Net\n\n{fenced(CODE)}\nTrain.\n```\n", CODE, True),
    "wrapped in a longer fence": (fenced(f"# Net\n\n{fenced(CODE)}\nTrain.\n", "md", "````"), CODE, True),
    "wrapped in tildes of no language": (fenced(f"Net\n{fenced(CODE)}", "", "~~~"), CODE, True),
    "two fences around": (f"```python\n{fenced(CODE)}```\n", CODE, True),
    "a sketch in a bare fence first": (f"```\nimage -> conv\n```\n{fenced(CODE)}", CODE, True),
    "a command first": (f"{fenced('pip install torch' + chr(10), 'bash')}{fenced(CODE)}", CODE, True),
    "an empty block first": (f"```python\n\n```\n{fenced(CODE)}", CODE, True),
    "a sketch of the class first": (f"{fenced(SKETCH)}\nIn full:\n\n{fenced(CODE)}", CODE, True),
    "a sketch of the class last": (f"{fenced(CODE)}\nIn short:\n\n{fenced(SKETCH)}", CODE, True),
    "a broken one, then a corrected one": (f"{fenced(BROKEN)}A colon lacks.\n{fenced(CODE)}", CODE, True),
    "half of one, then a whole one": (f"{fenced(HALF)}Again.\n{fenced(CODE)}", CODE, True),
    "a whole one, then one that is cut": (f"{fenced(CODE)}Or:\n```python\n{HALF}", CODE, True),
    "how to use it, behind": (f"{fenced(CODE)}Use:\n{fenced(USAGE)}", CODE, True),
    "how to use it, ahead": (f"{fenced(USAGE)}{fenced(CODE)}", CODE, True),
    "imports, then the class": (f"{fenced(IMPORTS)}and\n{fenced(NET)}", joined(IMPORTS, NET), False),
    "a module in three": (
        f"{fenced(IMPORTS)}and\n{fenced(TRAINED)}and\n{fenced(KEYS)}Use:\n{fenced(USAGE)}",
        joined(IMPORTS, TRAINED, KEYS),
        False,
    ),
    "hyperparameters last": (f"{fenced(IMPORTS + TRAINED)}{fenced(KEYS)}", joined(IMPORTS + TRAINED, KEYS), False),
    "a part first": (f"{fenced(BLOCK)}{fenced(USES)}", joined(BLOCK, USES), True),
    "a constant with the imports": (
        f"{fenced(IMPORTS + 'WIDTH = 8' + chr(10))}{fenced(NET.replace('out_shape[0]', 'WIDTH'))}",
        joined(IMPORTS + "WIDTH = 8\n", NET.replace("out_shape[0]", "WIDTH")),
        False,
    ),
    "a batch to try between the imports and the class": (
        f"{fenced(IMPORTS)}{fenced('x = torch.randn(1, 3, 8, 8)' + chr(10))}{fenced(NET)}",
        joined(IMPORTS, NET),
        False,
    ),
    "only the class corrected": (
        f"{fenced(CODE)}Better:\n{fenced(NET.replace('head', 'exit'))}",
        joined(IMPORTS, NET.replace("head", "exit")),
        True,
    ),
    "only the class, of a broken one": (
        f"{fenced(BROKEN)}Better:\n{fenced(NET)}",
        joined(IMPORTS, NET),
        False,
    ),
    "a tag in a string": (
        fenced(CODE.replace("x.mean", "'</think>' and x.mean")),
        CODE.replace("x.mean", "'</think>' and x.mean"),
        True,
    ),
    "a draft in thinking": (f"<think>\n{fenced(OTHER)}No.\n</think>\n\n{fenced(CODE)}", CODE, True),
    "a draft in reasoning": (f"<reasoning>{fenced(OTHER)}</reasoning>{fenced(CODE)}", CODE, True),
    "a draft with no closing fence": (f"<thinking>\n```python\n{OTHER}</thinking>\n{fenced(CODE)}", CODE, True),
    "thinking cut at the limit": (f"<think>\n{fenced(OTHER)}Or", None, False),
    "thinking twice": (f"<think>a</think>\n<think>\n{fenced(OTHER)}</think>\n{fenced(CODE)}", CODE, True),
    "thinking in brackets": (f"[THINK]{fenced(OTHER)}[/THINK]{fenced(CODE)}", CODE, True),
    "a channel": (
        f"<|channel|>analysis<|message|>\n{fenced(OTHER)}<|end|><|channel|>final<|message|>{fenced(CODE)}",
        CODE,
        True,
    ),
    "a channel without its marks": (f"analysisWe try\n{fenced(OTHER)}assistantfinal{fenced(CODE)}", CODE, True),
    "a channel cut at the limit": (f"<|channel|>analysis<|message|>\n{fenced(OTHER)}", None, False),
    "an answer in a tag": (f"<answer>\n{fenced(CODE)}</answer>\n", CODE, True),
    "no class, first block": ("```bash\nls\n```\n```python\nx = 1\n```\n```python\ny\n```\n", "x = 1\n", False),
    "no class, bare": ("import this\n", "import this\n", False),
    "a refusal": ("I cannot do that.\n", None, False),
    "nothing": ("", None, False),
    "an empty block": ("```python\n```\n", None, False),
    "another language": ("```bash\nls\n```\n", None, False),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_program_is_taken_from_every_shape_of_answer(shape: str) -> None:
    text, program, _ = SHAPES[shape]
    found = extract(text)
    assert (found.decode() if found else None) == program


@pytest.mark.parametrize("shape", SHAPES)
def test_generation_ends_only_at_a_whole_program(shape: str) -> None:
    text, _, ends = SHAPES[shape]
    assert is_complete(text) == ends


LATER = {  # what generation does not wait for: another program, and the rest of a line that begins as a closing fence
    "only the class corrected",
    "a fence with words does not close",
}


@pytest.mark.parametrize("shape", SHAPES.keys() - LATER)
def test_what_was_written_before_generation_ended_gives_the_program_of_the_whole_text(shape: str) -> None:
    text, program, ends = SHAPES[shape]
    end = next((end for end in range(len(text) + 1) if is_complete(text[:end])), None)
    assert (end is not None) == ends
    found = extract(text[:end])
    assert (found.decode() if found else None) == program


def test_a_corrected_program_after_a_whole_one_wins_if_it_was_written() -> None:
    text = f"{fenced(CODE)}Better:\n\n{fenced(OTHER)}"
    assert extract(text) == OTHER.encode()


def test_the_closing_fence_is_seen_at_its_last_mark() -> None:
    text = fenced(CODE) + "more"
    ends = [end for end in range(len(text)) if is_complete(text[:end])]
    assert ends[0] == text.index("\n```\n") + 4


def test_a_prompt_that_opened_the_reasoning_makes_all_before_its_end_a_draft() -> None:
    assert opens_reasoning("<|im_start|>assistant\n<think>\n")
    assert not opens_reasoning("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    draft = fenced(OTHER)
    assert not is_complete(draft, thinking=True)
    text = f"{draft}</think>\n{fenced(CODE)}"
    assert is_complete(text, thinking=True)
    assert extract(text) == CODE.encode()


PROSE = ("First.\n\n", "Then:\n\n", "\n", "- so\n\n", "1. this\n\n", "> well\n\n", "inline `x` and ``y``\n\n")
PARTS = (fenced(SKETCH), fenced(HALF), fenced(BROKEN), fenced(IMPORTS), fenced(BLOCK), "```\na -> b\n```\n",
         f"<think>\n{fenced(OTHER)}</think>\n", "<think>\n```python\n" + HALF + "</think>\n", fenced(NET),
         fenced(TRAINED), fenced("ls\n", "bash"))  # fmt: skip
AFTER = (fenced(USAGE), fenced(SKETCH), fenced(HALF), f"```python\n{HALF}", fenced("ls\n", "bash"))
PIECES = st.lists(st.sampled_from(PROSE + PARTS), max_size=8).map("".join)
ENDS = st.lists(st.sampled_from(PROSE + AFTER), max_size=4).map("".join)


@settings(deadline=None)
@given(PIECES, st.sampled_from(["", fenced(CODE), fenced(IMPORTS + TRAINED + KEYS)]), ENDS, st.data())
def test_streaming_gives_the_program_of_the_whole_text(
    before: str, program: str, after: str, data: st.DataObject
) -> None:
    text = before + program + (after if program else "")
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=60).map(sorted))
    marks = [at + 1 for at, letter in enumerate(text) if letter in "`~"]
    end = next((end for end in sorted({*cuts, *marks}) if is_complete(text[:end])), len(text))
    assert extract(text[:end]) == extract(text)


@pytest.mark.parametrize("text", ["```python\n```", "```", "x" * (LIMIT + 1), "```bash\nls\n```"])
def test_a_completion_without_code_has_no_program(text: str) -> None:
    assert extract(text) is None
    assert not is_complete(text)


HOSTILE = {
    "marks": "`",
    "fences": "```\n",
    "no fences": "``` `\n",
    "tildes": "~~~\n```\n",
    "lines": "\n",
    "a line": "```python ",
    "quotes": ">",
    "lists": "- ",
    "quotes and lists": "> - ",
    "items": "1. a\n",
    "deep lines": "- > - > - > - > ```\n",
    "lazy lines": "> a\nb\n",
    "tags": "<think>\n",
    "closing tags": "</think>",
    "channels": "<|channel|>",
    "channel name": "<|channel|>" + "a" * 99,
    "classes": "class Net(\n",
    "definitions": "def a(\n",
    "spaces": " ",
    "dots": "#.",
    "blocks": "```\nclass Net(A):\n```\n",
    "parts": "```\nimport a\ndef b(): c\n```\n",
    "wrapped": "```md\n~~~md\n",
    "brackets": "[a]: b\n[",
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("start", ["", "class Net(A):\n def f():\n", "```\nclass Net\ndef a"])
def test_hostile_text_takes_linear_time(kind: str, start: str) -> None:
    size = LIMIT // 32
    text = (start + HOSTILE[kind] * size)[:size] + "\n```\nclass Net(B):\n def b(): a\n"
    began = time.process_time()
    extract(text)
    is_complete(text)
    assert time.process_time() - began < 10  # seconds; anything quadratic takes minutes


SCRAPS = ["`", "~", "```", "\n", "\r", "\t", " ", "> ", "- ", "python", "import x", "class Net(A):\n", "\0", "\ud800"]
SCRAPS += ["<think>", "</think>"]


@given(st.lists(st.sampled_from(SCRAPS), max_size=60).map("".join))
def test_no_text_makes_extraction_raise(text: str) -> None:
    found = extract(text)
    assert found is None or found.endswith(b"\n")
    assert is_complete(text) in {True, False}
