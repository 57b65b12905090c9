"""An evaluation is complete by itself: as JSON from another machine, it gives the same ledgers, store and journal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.config import parse
from orchestrator.errors import InfrastructureError
from orchestrator.evaluation import Submission
from orchestrator.evaluation.dossier import Dossier
from orchestrator.loop import Loop
from orchestrator.loop.fakes import FakeEvaluator, FakeGenerator, FakeTrainer, fake_parts, program
from orchestrator.records import Evaluation, Occurrence, digest
from orchestrator.run import RunFolder
from orchestrator.run.chain import JOURNAL, references
from tests.support.recorded_run import DATA

CONFIG = DATA | {"budget": {"candidates": 24, "dynamic_from": None, "chunk": 8}, "cycles": 2}


class Elsewhere(FakeEvaluator):
    """One on another machine: what it hands back has been a text in between."""

    def evaluate(self, submissions: Iterable[Submission]) -> Iterator[Evaluation]:
        for evaluation in super().evaluate(submissions):
            stage = Occurrence.now("stage", {"candidate_id": evaluation.candidate.candidate_id, "stage": "import"})
            sent = evaluation.model_copy(update={"events": (stage,)}).model_dump_json()
            yield Evaluation.model_validate_json(sent)


def ran(folder: Path, kind: type[FakeEvaluator]) -> RunFolder:
    run = RunFolder.create(folder, parse(CONFIG, origin="test"))
    evaluator = kind(protocol=run.config.protocol.hash())
    Loop(run, fake_parts(run, generator=FakeGenerator(), evaluator=evaluator, trainer=FakeTrainer())).run()
    return run


def files(run: RunFolder) -> dict[str, bytes]:
    """All ledgers and stored objects."""
    found = (path for path in run.path.rglob("*") if path.is_file() and path.name not in {JOURNAL, "lock"})
    return {path.relative_to(run.path).as_posix(): path.read_bytes() for path in found}


def evaluated(source: bytes | None) -> Evaluation:
    (evaluation,) = FakeEvaluator(protocol="0" * 64).evaluate([Submission("c001-0000", source)])
    return evaluation


def test_an_evaluation_from_another_machine_gives_the_same_ledgers_and_objects(tmp_path: Path) -> None:
    here, there = ran(tmp_path / "here", FakeEvaluator), ran(tmp_path / "there", Elsewhere)
    assert len(files(here)) > 40
    assert files(here) == files(there)


def test_what_happened_elsewhere_is_journalled_before_its_verdict_at_its_own_time(tmp_path: Path) -> None:
    run = ran(tmp_path / "run", Elsewhere)
    lines: list[dict[str, Any]] = [json.loads(line) for line in (run.path / JOURNAL).read_bytes().splitlines()]
    lines = [line for line in lines if line["event"] != "completion"]  # another thread writes these meanwhile
    first = next(number for number, line in enumerate(lines) if line["event"] == "stage")
    names = [line["event"] for line in lines[first : first + 3]]
    assert names == ["stage", "candidate", "verdict"]
    assert lines[first]["at"] <= lines[first + 1]["at"]


@pytest.mark.parametrize("source", [None, b"import os", program(outcome="passed 0.5", body=1).encode(), b"\xff\0"])
def test_bytes_survive_json_and_every_name_is_that_of_its_content(source: bytes | None) -> None:
    evaluation = evaluated(source)
    again = Evaluation.model_validate_json(evaluation.model_dump_json())
    assert again == evaluation
    assert all(digest(content) == name for name, content in again.objects.items())
    for record in (again.candidate, again.verdict):
        assert set(references(record.model_dump(mode="json")).values()) <= again.objects.keys()


def test_an_object_under_another_name_is_refused_and_no_ledger_line_is_written(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, parse(CONFIG, origin="test"))
    evaluation = evaluated(b"import os")
    false = evaluation.model_copy(update={"objects": {"0" * 64: b"something else"}})
    with pytest.raises(InfrastructureError, match="c001-0000: came with an object that is not 0000"):
        run.keep(false)
    assert not list((tmp_path / "objects").rglob("*"))


@pytest.mark.parametrize("event", ["verdict", "prune", "finished", "config", "key"])
def test_an_evaluation_journals_nothing_but_what_happens_in_one(tmp_path: Path, event: str) -> None:
    run = RunFolder.create(tmp_path, parse(CONFIG, origin="test"))
    before = files(run)
    false = evaluated(b"import os").model_copy(update={"events": (Occurrence.now(event, {}),)})
    with pytest.raises(InfrastructureError, match=f"events of no evaluation: {event}"):
        run.keep(false)
    assert files(run) == before
    assert not (tmp_path / JOURNAL).exists()


def test_what_is_not_base_64_is_no_evaluation() -> None:
    plain = json.loads(evaluated(b"import os").model_dump_json())
    name = next(iter(plain["objects"]))
    plain["objects"][name] = "not base 64!"
    with pytest.raises(ValidationError):
        Evaluation.model_validate_json(json.dumps(plain))


def test_a_dossier_hands_back_all_that_was_put_into_it() -> None:
    dossier, made = Dossier("c"), evaluated(None)
    names = [dossier.put(content) for content in (b"one", b"two", b"one")]
    dossier.note("retry", {"attempt": 1})
    closed = dossier.closed(made.candidate, made.verdict)
    assert closed.objects == {names[0]: b"one", names[1]: b"two"}
    assert [(one.event, one.data) for one in closed.events] == [("retry", {"candidate_id": "c", "attempt": 1})]
