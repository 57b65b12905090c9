"""No secret of the environment reaches what a container is created from, a ledger, provenance or the journal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT

SECRET = "hf_thisValueIsTheSecret"  # noqa: S105 - that it is not found is what is tested
NAMES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "NN_SOMETHING")
RECORDING = """
import sys
from pathlib import Path

from orchestrator.loop.cycle import Loop
from orchestrator.config import parse
from orchestrator.loop.fakes import FakeEvaluator, FakeGenerator, FakeTrainer, fake_parts
from orchestrator.run import provenance
from orchestrator.run.folder import RunFolder
from tests.support.recorded_run import DATA

config = parse(DATA | {"budget": {"candidates": 20, "dynamic_from": None, "chunk": 8}}, origin="test")
run = RunFolder.create(Path(sys.argv[1]), config)
gathered = provenance.gather(config, sandbox={"engine": "1", "runtime": "runc"}, dataset="0" * 64, seeds=())
provenance.record(run.provenance, gathered)
evaluator = FakeEvaluator(protocol=config.protocol.hash())
Loop(run, fake_parts(run, generator=FakeGenerator(), evaluator=evaluator, trainer=FakeTrainer())).run()
"""
CREATION = """
import json

from orchestrator.sandbox.cgroup import ControlGroup
from orchestrator.sandbox.lockdown import Spec, creation
from orchestrator.records import Limits

for mode in ("supervise", "parse"):
    what = {"image": "sha256:0", "mode": mode, "runtime": "runc", "seccomp": "{}", "owner": "me"}
    spec = Spec(**what, limits=Limits(), life=60.0, threads=1)
    print(json.dumps(creation(spec, ControlGroup(name="abc", driver="cgroupfs"))))
"""


def done(code: str, *arguments: str) -> str:
    """What `code` prints in a process whose environment holds secrets."""
    secrets = dict.fromkeys(NAMES, SECRET)
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(command, env=os.environ | secrets, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert SECRET not in ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    done(RECORDING, str(path))
    return path


@pytest.mark.parametrize(
    "name", ["provenance.jsonl", "corpus.jsonl", "audit.jsonl", "config.json", "cycle-001/verdicts.jsonl"]
)
def test_what_a_run_records_is_there_to_be_looked_at(folder: Path, name: str) -> None:
    assert (folder / name).stat().st_size > 0


def test_nothing_that_a_run_writes_holds_a_secret_of_the_environment(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if SECRET.encode() in path.read_bytes() or SECRET in str(path)] == []


def test_nothing_that_a_run_writes_names_a_variable_of_the_environment(folder: Path) -> None:
    for name in NAMES:
        assert not [path for path in folder.rglob("*") if path.is_file() and name.encode() in path.read_bytes()]


def test_no_secret_of_the_environment_is_in_what_a_container_is_created_from() -> None:
    lines = done(CREATION).splitlines()
    assert len(lines) == 2
    for line in lines:
        assert SECRET not in line
        environment = {variable.partition("=")[0] for variable in json.loads(line)["Env"]}
        known = {"HOME", "LANG", "OMP_NUM_THREADS", "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG", "GLIBC_TUNABLES"}
        assert environment == known
