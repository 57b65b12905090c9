"""The reference of the configuration says of every key what it means."""

from __future__ import annotations

import inspect
import re

import pytest

from orchestrator import sections
from orchestrator.config import Config

PLAIN = {"dataset", "image", "ready", "life", "seed", "enabled", "limits", "deadlines", "task", "model", "decoding"}
PLAIN |= {"lora", "sft", "candidates", "first", "parse", "import_", "instantiate", "forward", "train", "predict"}
SECTIONS = [*(kind for _, kind in inspect.getmembers(sections, inspect.isclass)), Config]


@pytest.mark.parametrize("section", [kind for kind in SECTIONS if issubclass(kind, sections.Section)])
def test_every_key_that_does_not_explain_itself_is_explained(section: type[sections.Section]) -> None:
    said = set(re.findall(r"\w+", inspect.getdoc(section) or ""))
    fields = {name for name, field in section.model_fields.items() if not inspect.isclass(field.annotation)
              or not issubclass(field.annotation, sections.Section)}  # fmt: skip
    assert fields - PLAIN <= said
