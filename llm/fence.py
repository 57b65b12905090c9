"""Where the code of a completion ends: at the fence that closes its first block of Python."""

from __future__ import annotations

MARK = "```"
LANGUAGES = frozenset({"", "python", "python3", "py", "pytorch"})  # what is taken for the program later


def is_closed(text: str) -> bool:
    """Say whether `text`, as generated so far, holds a whole block of Python (CommonMark 0.31, section 4.5).

    A block of another language, or an empty one, is none: the program may still come. Only generated text may be
    given: a fence that the prompt left open is not looked at. The last line counts although it may not be whole yet,
    so that generation stops at the closing fence itself.
    """
    opened, python, empty = 0, False, True
    for line in text.split("\n"):
        bare = line.strip()
        marks = len(bare) - len(bare.lstrip("`"))
        if not opened and marks >= len(MARK) and "`" not in bare[marks:]:
            words = bare[marks:].split()
            opened, python, empty = marks, (words[0].lower() if words else "") in LANGUAGES, True
        elif opened and marks >= opened and marks == len(bare):
            if python and not empty:
                return True
            opened = 0
        elif opened and bare:
            empty = False
    return False
