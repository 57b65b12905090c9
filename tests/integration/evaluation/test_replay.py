"""A recorded candidate is run again in a real container, and its result is found to be the same, or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import main
from orchestrator.evaluation import Submission, prepare
from orchestrator.loop.assembly import sandbox
from orchestrator.run import RunFolder
from tests.adversarial.suite import CACHE, CONTROL, FOLDER, config
from tests.support.recorded_run import completed

pytestmark = pytest.mark.docker

HONEST, RAISES = "c001-0000", "c001-0001"
PROGRAM = (FOLDER / f"{CONTROL}.py").read_bytes()
SOURCES = {HONEST: PROGRAM, RAISES: PROGRAM.replace(b"return self.layers(x)", b"raise ValueError('as ever')")}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of an honest program and one that raises, evaluated as the loop does."""
    settings = config("runc")
    run = RunFolder.create(tmp_path_factory.mktemp("runs") / "run", settings)
    run.corpus.finish()
    folder = run.cycle(1)
    folder.path.mkdir()
    for index, name in enumerate(SOURCES):
        folder.completions.append(completed(name, index=index))
    submissions = [Submission(name, source) for name, source in SOURCES.items()]
    with sandbox(run, prepare(settings.protocol, CACHE), cache=tmp_path_factory.mktemp("cache")) as evaluator:
        for evaluation in evaluator.evaluate(submissions):
            run.keep(evaluation)
            folder.candidates.append(evaluation.candidate)
            folder.verdicts.append(evaluation.verdict)
    return run


def replayed(run: RunFolder, name: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["audit", "replay", str(run.path), name, "--cache", str(CACHE), *arguments])


def contents(run: RunFolder) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("name", "state"), [(HONEST, "passed"), (RAISES, "failed")])
def test_a_result_repeats_bit_for_bit_and_the_run_is_left_as_it_was(run: RunFolder, name: str, state: str) -> None:
    before = contents(run)
    done = replayed(run, name, "--jsonl")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["same"]
    assert said["surroundings"] == {}
    assert said["result"]["state"] == [state, state]
    assert (said["result"]["predictions"][0] is not None) == (state == "passed")
    assert contents(run) == before


def test_another_protocol_is_named_and_so_is_a_result_that_differs(run: RunFolder) -> None:
    done = replayed(run, HONEST, "--set", "protocol.lr=0.0001")
    assert done.exit_code == 3, done.output
    assert "the result is not the same" in done.stdout
    assert "protocol" in done.stdout
    assert "accuracy" in done.stdout
