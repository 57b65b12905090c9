"""What a container says is taken down within bounds, in order, and never in its favour."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.evaluation import transcript
from orchestrator.evaluation.transcript import WORDS, BrokenWireError
from sandbox_image import wire


def mark(stage: str) -> wire.Frame:
    return wire.Frame(wire.STAGE, f'{{"stage": "{stage}"}}'.encode())


def heard(*stages: str) -> transcript.Testimony:
    said = transcript.Testimony(stored=100)
    for stage in stages:
        said.take(mark(stage))
    return said


def test_stages_are_entered_one_after_the_other() -> None:
    assert heard("import", "instantiate", "forward", "train", "predict").stage == "predict"


@pytest.mark.parametrize("stages", [("train",), ("import", "import"), ("import", "forward"), ("import", "nonsense")])
def test_a_stage_out_of_turn_breaks_the_wire(stages: tuple[str, ...]) -> None:
    with pytest.raises(BrokenWireError):
        heard(*stages)


def test_predictions_count_only_in_their_own_stage() -> None:
    with pytest.raises(BrokenWireError, match="predictions during train"):
        heard("import", "instantiate", "forward", "train").take(wire.Frame(wire.PREDICTIONS, b""))


def test_of_two_claims_the_larger_counts() -> None:
    said = heard("import")
    for number in (5, 1):
        said.take(wire.Frame(wire.CLAIM, f'{{"parameters": {number}}}'.encode()))
    assert said.reply().parameters == 5


def claimed(fingerprint: object) -> wire.Frame:
    return wire.Frame(wire.CLAIM, json.dumps({"parameters": 1, "fingerprint": fingerprint, "layers": 2}).encode())


def test_of_two_fingerprints_the_first_counts() -> None:
    said = heard("import")
    for fingerprint in ("a" * 64, "b" * 64):
        said.take(claimed(fingerprint))
    assert said.reply().fingerprint == "a" * 64


@pytest.mark.parametrize(
    "odd", ["a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n", "\u0661" * 64, "", None, 5, True, ["a" * 64], {}]
)
def test_what_cannot_be_a_fingerprint_is_dropped_and_costs_nothing(odd: object) -> None:
    said = heard("import")
    said.take(claimed(odd))
    assert (said.reply().fingerprint, said.reply().layers) == (None, 2)


def test_output_is_kept_up_to_a_bound_and_says_so() -> None:
    said = heard("import")
    for _ in range(3):
        said.take(wire.Frame(wire.STDOUT, b"x" * 60))
    assert said.output() == {"stdout": b"x" * 100}
    assert said.truncated


def test_a_trial_holds_a_bounded_number_of_words() -> None:
    said = heard("import")
    claim = wire.Frame(wire.CLAIM, b'{"samples": 1}')
    for _ in range(WORDS - 1):
        said.take(claim)
    with pytest.raises(BrokenWireError, match="more marks"):
        said.take(claim)


@given(st.sampled_from(sorted(wire.FROM_SUPERVISOR)), st.binary(max_size=200))
def test_any_frame_is_taken_or_refused_with_a_known_error(kind: bytes, payload: bytes) -> None:
    said = heard("import")
    try:
        said.take(wire.Frame(kind, payload))
    except (BrokenWireError, wire.WireError, ValidationError):
        return
    said.reply()
