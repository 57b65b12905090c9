"""The configuration says of every key what it means."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from tests.docs.configuration import meanings, section_of, sections

SECTIONS = dict(sections())


def test_every_section_is_found() -> None:
    assert {"", "protocol.", "llm.sft.", "sandbox.deadlines.", "corpus.clean."} <= set(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS.keys())
def test_every_key_is_explained_under_it(section: type[BaseModel]) -> None:
    values = {name for name, field in section.model_fields.items() if section_of(field.annotation) is None}
    assert values <= set(meanings(section))
