"""What is admitted: both similarities count, against the earlier programs that the configuration says, in order."""

from __future__ import annotations

import pytest

from orchestrator.corpus import Index
from orchestrator.loop.admission import Admission
from orchestrator.loop.fakes import fake_shingles, program
from orchestrator.records import Novelty, Rule
from orchestrator.sections import NoveltyConfig

THRESHOLD = 0.4


def shingles(body: int) -> bytes:
    return fake_shingles(program(outcome="passed 0.5", body=body).encode())


def admission(*, corpus: tuple[int, ...] = (), target: int | None = None, **novelty: object) -> Admission:
    """Admission above 0.4, with programs of the bodies `corpus` known from before the cycle."""
    config = NoveltyConfig.model_validate(novelty)
    known = Index(config)
    for body in corpus:
        known.add(f"seed-{body}", shingles(body))
    return Admission(
        Rule(threshold=THRESHOLD, tau=config.tau, target=target),
        known=known,
        fresh=Index(config),
        only_admitted=config.generation == "admitted",
    )


def decide(to: Admission, *candidates: tuple[int, float]) -> list[Novelty]:
    """The records of candidates, each given by its body and its accuracy."""
    return [
        to.decide(candidate_id=f"c{index}", accuracy=accuracy, shingles=shingles(body))
        for index, (body, accuracy) in enumerate(candidates)
    ]


def test_a_near_duplicate_of_the_corpus_or_of_an_earlier_candidate_is_rejected() -> None:
    records = decide(admission(corpus=(1,)), (1, 0.9), (2, 0.9), (2, 0.9), (3, 0.9))
    assert [record.decision for record in records] == ["duplicate", "admitted", "duplicate", "admitted"]
    assert records[0].train is not None
    assert (records[0].train.entry_id, records[0].train.exact, records[0].generation) == ("seed-1", 1.0, None)
    assert records[2].generation is not None
    assert (records[2].generation.entry_id, records[2].generation.exact) == ("c1", 1.0)


@pytest.mark.parametrize(("generation", "decision"), [("valid", "duplicate"), ("admitted", "admitted")])
def test_a_candidate_below_the_threshold_stands_in_the_way_of_its_like_only_where_all_valid_ones_count(
    generation: str, decision: str
) -> None:
    records = decide(admission(generation=generation), (1, 0.1), (1, 0.9))
    assert [record.decision for record in records] == ["below_threshold", decision]


def test_an_accuracy_at_the_threshold_is_not_above_it() -> None:
    records = decide(admission(), (1, THRESHOLD), (2, THRESHOLD + 1e-9))
    assert [record.decision for record in records] == ["below_threshold", "admitted"]


def test_a_similarity_of_exactly_tau_is_no_near_duplicate() -> None:
    records = decide(admission(tau=1.0), (1, 0.9), (1, 0.9))
    assert [record.decision for record in records] == ["admitted", "admitted"]


def test_duplicates_are_counted_until_the_next_admission_and_programs_below_the_threshold_are_not() -> None:
    records = decide(admission(corpus=(1,)), (1, 0.9), (1, 0.9), (2, 0.1), (3, 0.9), (4, 0.9), (3, 0.9), (5, 0.9))
    assert [record.rejection_count for record in records] == [None, None, None, 2, 0, None, 1]


def test_after_the_target_everything_is_surplus() -> None:
    records = decide(admission(target=1), (1, 0.9), (2, 0.9), (1, 0.9), (3, 0.1))
    assert [record.decision for record in records] == ["admitted", "surplus", "surplus", "surplus"]
