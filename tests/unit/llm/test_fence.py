"""Where the code of a completion ends."""

from __future__ import annotations

import pytest

from llm.fence import is_closed
from orchestrator.language_model.extract import extract

TEXTS = (
    "```python\nx = 1\n```\nand\n```python\ny = 2\n```",
    "```bash\npip install torch\n```\nthen\n```python\nx = 1\n```\nmore",
    "```\n```\n````py\nx = '''\n```\n'''\n````\nmore",
    "```text\n`````\n```Python3 title\nx = 1\n  ```\n",
    "``` a`b\n```python x\n\n\n```\n```\nx\n```\n",
)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nx = 1\n```",
        "```\nx = 1\n```",
        "Here it is:\n\n```python\nx = 1\n```",
        "```python\nx = 1\n```\n\nIt works.",
        "```python\nx = 1\n  ```  ",
        "````python\nx = '''```'''\n```\n````",
        "```bash\npip install torch\n```\n```python\nx = 1\n```",
        "```python\n\n```\n```PyTorch\nx = 1\n```",
    ],
)
def test_a_block_ends_at_its_closing_fence(text: str) -> None:
    assert is_closed(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "```",
        "```python",
        "```python\n",
        "```python\nx = 1\n``",
        "```python\nx = 1\n# use ``` here",
        "```python\nx = '''\n```python\n'''",
        "````python\nx = 1\n```",
        "the words ``` stand in a line",
        "`````` is no fence ``",
        "x = 1\n```",
        "```python\n```",
        "```python\n\n```",
        "```bash\npip install torch\n```",
        "```bash\npip install torch\n```\n```python\nx = 1",
    ],
)
def test_a_block_that_is_not_whole_goes_on(text: str) -> None:
    assert not is_closed(text)


def test_the_closing_fence_is_seen_at_its_last_backtick() -> None:
    text = "```python\nx = 1\n```\nmore"
    ends = [end for end in range(len(text)) if is_closed(text[:end])]
    assert ends[0] == text.index("\n```\n") + 4


@pytest.mark.parametrize("text", TEXTS)
def test_what_stops_there_is_the_program_that_would_have_been_taken_from_the_whole_text(text: str) -> None:
    end = next(end for end in range(len(text) + 1) if is_closed(text[:end]))
    assert extract(text[:end]) == extract(text) is not None
