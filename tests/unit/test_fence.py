"""Where the code of a completion ends."""

from __future__ import annotations

import pytest

from llm.fence import is_closed


@pytest.mark.parametrize(
    "text",
    [
        "```python\nx = 1\n```",
        "```\nx = 1\n```",
        "Here it is:\n\n```python\nx = 1\n```",
        "```python\nx = 1\n```\n\nIt works.",
        "```python\nx = 1\n  ```  ",
        "````python\nx = '''```'''\n```\n````",
        "```python\n```",
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
    ],
)
def test_a_block_that_is_not_whole_goes_on(text: str) -> None:
    assert not is_closed(text)


def test_the_closing_fence_is_seen_at_its_last_backtick() -> None:
    text = "```python\nx = 1\n```\nmore"
    ends = [end for end in range(len(text)) if is_closed(text[:end])]
    assert ends[0] == text.index("\n```\n") + 4
