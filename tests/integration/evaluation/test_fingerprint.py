"""Programs that compute the same claim the same fingerprint from inside a container, and it changes no result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from orchestrator.evaluation import SandboxEvaluator, Submission, prepare
from orchestrator.records import Verdict
from tests.adversarial.suite import CACHE, FOLDER, config

pytestmark = pytest.mark.docker

PROGRAM = (FOLDER / "honest_convolutions.py").read_bytes()
REWORDED = PROGRAM.replace(b"layers", b"body").replace(b"return self.body(x)", b"y = self.body(x)\n        return y")
WIDER = PROGRAM.replace(b"Conv2d(3, 8,", b"Conv2d(3, 16,").replace(b"BatchNorm2d(8)", b"BatchNorm2d(16)")
WIDER = WIDER.replace(b"nn.Linear(128,", b"nn.Linear(256,")
BLIND = PROGRAM.replace(b"\n\nclass", b"\n\ntorch.Tensor.untyped_storage = lambda self: 1 / 0\n\nclass", 1)
FORGED = b"""\
import os
import struct

claim = b'{"parameters": 1, "fingerprint": "%s", "layers": 1, "operations": 1}' % (b"ab" * 32)
"""
FORGED += b'os.write(3, struct.pack(">cI", b"C", len(claim)) + claim)\n' + PROGRAM
PROGRAMS = {"plain": PROGRAM, "again": PROGRAM, "reworded": REWORDED, "wider": WIDER, "blind": BLIND, "forged": FORGED}


@pytest.fixture(scope="module")
def verdicts() -> Iterator[Mapping[str, Verdict]]:
    """The verdict on each program, from real containers."""
    settings = config("runc")
    prepared = prepare(settings.protocol, CACHE)
    with SandboxEvaluator(config=settings, prepared=prepared, key=b"k") as evaluator:
        submissions = [Submission(candidate_id=name, source=source) for name, source in PROGRAMS.items()]
        yield {one.verdict.candidate_id: one.verdict for one in evaluator.evaluate(submissions)}


def test_every_program_is_valid_whatever_it_does_to_its_fingerprint(verdicts: Mapping[str, Verdict]) -> None:
    assert {name: verdict.state for name, verdict in verdicts.items()} == dict.fromkeys(PROGRAMS, "passed")


def test_the_same_network_in_other_words_has_the_same_fingerprint(verdicts: Mapping[str, Verdict]) -> None:
    fingerprint = verdicts["plain"].claimed.fingerprint
    assert fingerprint is not None
    assert {verdicts[name].claimed.fingerprint for name in ("again", "reworded")} == {fingerprint}
    assert verdicts["wider"].claimed.fingerprint not in {None, fingerprint}


def test_layers_and_operations_are_counted(verdicts: Mapping[str, Verdict]) -> None:
    claimed = verdicts["plain"].claimed
    assert claimed.layers == 6
    assert claimed.operations


def test_a_program_that_cannot_be_watched_has_no_fingerprint_and_its_accuracy(verdicts: Mapping[str, Verdict]) -> None:
    assert verdicts["blind"].claimed.fingerprint is None
    assert verdicts["blind"].accuracy is not None


def test_a_forged_fingerprint_is_no_more_than_a_claim(verdicts: Mapping[str, Verdict]) -> None:
    assert verdicts["forged"].claimed.fingerprint == "ab" * 32
    assert verdicts["forged"].claimed.parameters == verdicts["plain"].claimed.parameters
