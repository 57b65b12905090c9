"""The configuration says of every key what it means, and of two thresholds which one is reported."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from orchestrator.sections import PUBLISHED, AdmissionConfig, Protocol
from tests.docs.configuration import meanings, section_of, sections

SECTIONS = dict(sections())


def test_every_section_is_found() -> None:
    assert {"", "protocol.", "llm.sft.", "sandbox.deadlines.", "corpus.clean."} <= set(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS.keys())
def test_every_key_is_explained_under_it(section: type[BaseModel]) -> None:
    values = {name for name, field in section.model_fields.items() if section_of(field.annotation) is None}
    assert values <= set(meanings(section))


def test_the_threshold_that_admits_is_reported_and_where_none_does_the_one_named_in_its_place() -> None:
    assert AdmissionConfig(threshold=0.4).reported == 0.4
    assert AdmissionConfig(threshold=None, reported_threshold=0.5).reported == 0.5
    assert AdmissionConfig(threshold=None).reported is None


def test_a_protocol_whose_last_batch_has_one_image_says_what_becomes_of_it_in_its_hash() -> None:
    usual, odd = Protocol(train_samples=2048), Protocol(train_samples=2049)
    assert not usual.has_single
    assert odd.has_single
    assert usual.hash() == usual.model_copy(update={"single": "keep"}).hash()
    assert odd.hash() != odd.model_copy(update={"single": "keep"}).hash()
    for name in PUBLISHED:
        assert not Protocol.model_validate({"dataset": name}).has_single
        assert not Protocol.model_validate({"dataset": name, "split": "holdout"}).has_single
