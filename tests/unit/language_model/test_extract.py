"""Which part of a completion is its program."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.language_model.extract import LIMIT, extract

CODE = "import torch\n\nclass Net:\n    pass\n"


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{CODE}```",
        f"Sure, here it is.\n\n```python\n{CODE}```\nIt is a network.",
        f"```\n{CODE}```",
        f"```py title=net.py\n{CODE}```",
        f"```python\n{CODE}",
        f"```bash\npip install x\n```\n```python\n{CODE}```\n```python\nother\n```",
        f"````python\n{CODE}````",
        CODE,
        "\n" + CODE,
    ],
)
def test_the_first_python_block_or_a_bare_module_is_the_program(text: str) -> None:
    found = extract(text)
    assert found is not None
    assert found.decode().strip() == CODE.strip()


@pytest.mark.parametrize(
    "text", ["", "I cannot do that.", "```python\n```", "```", "```bash\nls\n```", "x" * (LIMIT + 1)]
)
def test_a_completion_without_code_has_no_program(text: str) -> None:
    assert extract(text) is None


@pytest.mark.parametrize(
    "text", ["`" * LIMIT, "```\n" * (LIMIT // 4), "``` `\n" * (LIMIT // 6), "\n" * LIMIT, "```python " * 9999]
)
def test_hostile_text_takes_linear_time(text: str) -> None:
    start = time.process_time()
    extract(text)
    assert time.process_time() - start < 5


@given(st.lists(st.sampled_from(["`", "\n", " ", "python", "\ud800", "import x", "\r"]), max_size=60).map("".join))
def test_no_text_makes_extraction_raise(text: str) -> None:
    found = extract(text)
    assert found is None or found.endswith(b"\n")
