"""Records of an evaluation stay readable, and are written as they always were."""

from __future__ import annotations

import tarfile

from orchestrator.records import Claimed, Reply, Verdict, canonical
from tests.support.checkout import CHECKOUT

STUDY = CHECKOUT / "results" / "cpu-study" / "cpu-study.tar.xz"


def test_every_verdict_of_the_recorded_study_is_written_as_it_was() -> None:
    with tarfile.open(STUDY) as archive:
        ledgers = [archive.extractfile(member) for member in archive if member.name.endswith("/verdicts.jsonl")]
        lines = [line for ledger in ledgers if ledger is not None for line in ledger.read().splitlines()]
    verdicts = [line for line in lines if b'"kind":"verdict"' in line]
    assert len(verdicts) > 100
    assert verdicts == [canonical(Verdict.model_validate_json(line).model_dump(mode="json")) for line in verdicts]


def test_what_is_kept_of_a_reply_is_neither_its_predictions_nor_how_it_says_it_died() -> None:
    assert Reply.model_fields.keys() - Claimed.model_fields.keys() == {"death", "predictions"}
