"""Writes those parts of the documentation that follow from the code: `python -m tests.docs`, or `make docs`."""

from __future__ import annotations

from tests.docs.page import PAGES


def main() -> None:
    """Write every page whose generated part differs from what the code says."""
    for page in PAGES:
        if page.path.read_text(encoding="utf-8") != page.text():
            page.path.write_text(page.text(), encoding="utf-8")
            print(f"written: {page.path}")  # noqa: T201 - what a person who runs it wants to know


if __name__ == "__main__":
    main()
