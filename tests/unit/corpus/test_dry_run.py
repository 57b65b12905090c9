"""A dry run is made once for a program under a protocol, an image and limits, and what it taught survives a kill."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from orchestrator.config import Config, load
from orchestrator.corpus.dry_run import dry_runs, identity, rehearsal
from orchestrator.corpus.qualify import Seed
from orchestrator.errors import InfrastructureError
from orchestrator.evaluation import Evaluator, Submission
from orchestrator.loop.fakes import ENVIRONMENT, FakeEvaluator, program
from orchestrator.records import Candidate, Claimed, Digest, Evaluation, Failed, FailedState, Measured, Stage, Verdict
from tests.support.checkout import QUICKSTART

PROTOCOL = "0" * 64
IMAGE = "sha256:1"
COLLAPSED = Failed(state="failed", stage="forward", cause="told to")


def seed(name: str, outcome: str = "passed 0.5") -> Seed:
    text = program(outcome=outcome, body=sum(name.encode())).encode()
    return Seed(name=name, text=text, tokens=1, shingles=b"\1" * 8)


SEEDS = [seed("a"), seed("b", "failed forward"), seed("c"), seed("d", "syntax_error parse")]


class Lender:
    """Lends one evaluator, and counts how often it was wanted."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.lent = 0

    def __call__(self) -> AbstractContextManager[Evaluator]:
        self.lent += 1
        return nullcontext(self.evaluator)


def ask(
    folder: Path, seeds: Sequence[Seed] = SEEDS, *, breaks_after: int | None = None, said: list[str] | None = None
) -> tuple[dict[Digest, Failed | None] | InfrastructureError, list[str], int]:
    """Return the answers, or how they failed, what was tried for them, and how many evaluators were made."""
    fake = FakeEvaluator(protocol=PROTOCOL, breaks_after=breaks_after)
    lender, report = Lender(fake), ([] if said is None else said).append
    try:
        found: dict[Digest, Failed | None] | InfrastructureError = dry_runs(
            seeds, evaluator=lender, path=folder / "dry" / "runs.jsonl", report=report
        )
    except InfrastructureError as error:
        found = error
    return found, fake.evaluated, lender.lent


def test_a_program_is_tried_once_and_the_answer_stays_the_same(tmp_path: Path) -> None:
    found, tried, _ = ask(tmp_path)
    assert tried == ["a", "b", "c", "d"]
    assert isinstance(found, dict)
    assert [found[one.digest] for one in SEEDS[:3]] == [None, COLLAPSED, None]
    assert (found[SEEDS[3].digest] or COLLAPSED).state == "syntax_error"
    assert ask(tmp_path) == (found, [], 0)


def test_programs_of_one_text_are_tried_once(tmp_path: Path) -> None:
    twin = Seed(name="z", text=SEEDS[0].text, tokens=1, shingles=b"")
    found, tried, _ = ask(tmp_path, [SEEDS[0], twin])
    assert (found, len(tried)) == ({twin.digest: None}, 1)


def test_a_failure_of_the_infrastructure_keeps_what_was_learned_before(tmp_path: Path) -> None:
    assert isinstance(ask(tmp_path, breaks_after=2)[0], InfrastructureError)
    found, tried, _ = ask(tmp_path)
    assert tried == ["c", "d"]
    assert found == ask(tmp_path / "other")[0]


def test_a_quarantined_program_stops_the_build_and_is_tried_again(tmp_path: Path) -> None:
    seeds = [SEEDS[0], seed("q", "quarantined import"), SEEDS[2]]
    error, tried, _ = ask(tmp_path, seeds)
    assert "dry run of q" in str(error)
    assert "orchestrate doctor" in str(error)
    assert tried == ["a", "q"]
    assert ask(tmp_path, seeds)[1] == ["q"]


def test_a_torn_line_is_tried_again_and_spoils_no_other(tmp_path: Path) -> None:
    found, _, _ = ask(tmp_path)
    path = tmp_path / "dry" / "runs.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert ask(tmp_path) == (found, ["d"], 1)
    assert ask(tmp_path) == (found, [], 0)


def test_a_damaged_line_is_tried_again(tmp_path: Path) -> None:
    found, _, _ = ask(tmp_path)
    path = tmp_path / "dry" / "runs.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"forward"', b'"backward"'))
    assert ask(tmp_path) == (found, ["b"], 1)


class Reaches(Evaluator):
    """Ends every program in one state and stage."""

    def __init__(self, state: FailedState, stage: Stage) -> None:
        self.state, self.stage = state, stage

    def evaluate(self, submissions: Iterable[Submission]) -> Iterator[Evaluation]:
        for submission in submissions:
            name = submission.candidate_id
            verdict = Verdict(
                candidate_id=name,
                state=self.state,
                stage=self.stage,
                cause="so",
                accuracy=None,
                predictions=None,
                protocol=PROTOCOL,
                environment=ENVIRONMENT,
                claimed=Claimed(),
                measured=Measured(),
            )
            yield Evaluation(candidate=Candidate(candidate_id=name, source=None), verdict=verdict)


@pytest.mark.parametrize(
    ("state", "stage", "passes"),
    [
        ("timeout", "train", True),
        ("failed", "train", True),
        ("killed", "predict", True),
        ("timeout", "forward", False),
        ("out_of_memory", "instantiate", False),
        ("failed", "import", False),
        ("contract", "contract", False),
    ],
)
def test_whatever_ends_in_training_has_passed_forward(
    tmp_path: Path, state: FailedState, stage: Stage, *, passes: bool
) -> None:
    lender = Lender(Reaches(state, stage))
    found = dry_runs(SEEDS[:1], evaluator=lender, path=tmp_path / "runs.jsonl", report=print)
    expected = None if passes else Failed(state=state, stage=stage, cause="so")
    assert found == {SEEDS[0].digest: expected}


def test_a_timeout_is_tried_again_since_the_machine_may_have_been_busy(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    for _ in range(2):
        lender = Lender(Reaches("timeout", "forward"))
        found = dry_runs(SEEDS[:1], evaluator=lender, path=path, report=print)
        assert found == {SEEDS[0].digest: Failed(state="timeout", stage="forward", cause="so")}
        assert not path.exists()
    assert dry_runs(SEEDS[:1], evaluator=Lender(Reaches("failed", "train")), path=path, report=print) == {
        SEEDS[0].digest: None
    }


def test_progress_says_what_is_known_how_many_passed_and_what_is_left(tmp_path: Path) -> None:
    said: list[str] = []
    ask(tmp_path, SEEDS[:2])
    ask(tmp_path, said=said)
    assert said[0] == "dry run: 2 of 4 programs are known, 2 are tried"
    assert re.fullmatch(r"dry run: 2 of 2, 1 passed, elapsed \d+ s, about 0 s left", said[1])
    ask(tmp_path, said=said)
    assert len(said) == 2


def changed(override: str) -> Config:
    return load(QUICKSTART, (override,))


@pytest.mark.parametrize(
    "override",
    ["protocol.resolution=64", "protocol.batch=32", "sandbox.limits.memory=1073741824", "sandbox.deadlines.forward=9"],
)
def test_what_a_dry_run_depends_on_names_where_it_is_kept(override: str) -> None:
    assert identity(changed(override), image=IMAGE) != identity(load(QUICKSTART), image=IMAGE)
    assert identity(load(QUICKSTART), image="sha256:2") != identity(load(QUICKSTART), image=IMAGE)


@pytest.mark.parametrize("override", ["sandbox.slots=1", "sandbox.deadlines.train=99", "seed=5", "sandbox.image=other"])
def test_what_it_does_not_depend_on_does_not(override: str) -> None:
    assert identity(changed(override), image=IMAGE) == identity(load(QUICKSTART), image=IMAGE)


def test_a_rehearsal_differs_in_the_time_to_train_alone() -> None:
    config = load(QUICKSTART)
    dry = rehearsal(config)
    assert dry.protocol == config.protocol
    assert dry.sandbox.deadlines.train < 0.01 < config.sandbox.deadlines.train
    spared = dry.sandbox.deadlines.model_copy(
        update={"train": config.sandbox.deadlines.train, "predict": config.sandbox.deadlines.predict}
    )
    assert dry.sandbox.model_copy(update={"deadlines": spared}) == config.sandbox
