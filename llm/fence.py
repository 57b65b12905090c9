"""Where the code of a completion ends: at the fence that closes the first fence it opened."""

from __future__ import annotations

MARK = "```"


def is_closed(text: str) -> bool:
    """Say whether `text`, as generated so far, holds a whole fenced block (CommonMark 0.31, section 4.5).

    Only generated text may be given: a fence that the prompt left open is not looked at. The last line counts
    although it may not be whole yet, so that generation stops at the closing fence itself.
    """
    opened = 0
    for line in text.split("\n"):
        bare = line.strip()
        marks = len(bare) - len(bare.lstrip("`"))
        if not opened and marks >= len(MARK) and "`" not in bare[marks:]:
            opened = marks
        elif opened and marks >= opened and marks == len(bare):
            return True
    return False
