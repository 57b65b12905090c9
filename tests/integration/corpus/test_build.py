"""`orchestrate corpus build` on a slice of the real LEMUR, through real parser containers."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli import main
from orchestrator.config import load
from orchestrator.corpus import lemur
from orchestrator.language_model import assets
from orchestrator.records import Entry
from orchestrator.run import Ledger
from orchestrator.sandbox import Engine, Parsers, Sandbox
from orchestrator.sandbox.image import ensure
from tests.support.checkout import CHECKOUT

pytestmark = pytest.mark.docker

CONFIG = CHECKOUT / "configs" / "paper-cifar10.yaml"
TAG = "nn-sandbox:cpu"
EVERY = 25  # of LEMUR's models is in the slice, with its trials


@pytest.fixture(scope="module", autouse=True)
def _image() -> None:
    with Engine() as engine:
        ensure(engine, "cpu", TAG, cache=CHECKOUT / ".cache", log=print)


@pytest.fixture(scope="module")
def models() -> tuple[lemur.Model, ...]:
    return lemur.read(assets.wheel("nn-dataset==2.1.2", CHECKOUT / ".cache")).models[::EVERY]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, models: tuple[lemur.Model, ...]) -> Path:
    path = tmp_path_factory.mktemp("slice") / "nn_dataset-2.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for model in models:
            archive.writestr(f"{lemur.MODELS}{model.name}.py", model.source)
            trial = f"{lemur.TRIALS}img-classification_cifar-10_acc_{model.name}/1.json"
            archive.writestr(trial, json.dumps([] if model.accuracy is None else [{"accuracy": model.accuracy}]))
    return path


def build(wheel: Path, cache: Path, out: Path) -> tuple[bytes, bytes]:
    (cache / "wheels").mkdir(parents=True, exist_ok=True)
    (cache / "wheels" / wheel.name).write_bytes(wheel.read_bytes())
    switches = ["--set", f"sandbox.image={TAG}", "--set", "corpus.hyperparameters=any"]
    arguments = ["corpus", "build", "--config", str(CONFIG), "--cache", str(cache), "--out", str(out), *switches]
    done, again = CliRunner().invoke(main, arguments), CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert again.exit_code == 0, again.output
    assert "is complete" in again.stderr
    assert again.stdout == done.stdout
    return (out / "corpus.jsonl").read_bytes(), (out / "stages.json").read_bytes()


def test_two_builds_give_equal_files_whether_or_not_the_programs_were_inspected_before(
    wheel: Path, tmp_path: Path
) -> None:
    cold = build(wheel, tmp_path / "one", tmp_path / "a")
    assert list((tmp_path / "one" / "inspections").glob("*.sqlite"))
    assert build(wheel, tmp_path / "one", tmp_path / "b") == cold
    assert build(wheel, tmp_path / "other", tmp_path / "c") == cold
    stages = {stage["stage"]: stage for stage in json.loads(cold[1])}
    assert stages["model files"]["kept"] == stages["parsed"]["kept"] == -(-10_482 // EVERY)
    before = None
    for stage in list(stages.values())[3:-1]:
        assert before is None or stage["kept"] + stage["dropped"] == before
        assert len(stage["drops"]) == stage["dropped"]
        before = stage["kept"]


def test_a_corpus_of_another_configuration_is_not_taken_for_this_one(wheel: Path, tmp_path: Path) -> None:
    build(wheel, tmp_path / "cache", tmp_path / "out")
    arguments = ["corpus", "build", "--config", str(CONFIG), "--cache", str(tmp_path / "cache")]
    done = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "out"), "--set", "novelty.tau=0.8"])
    assert done.exit_code == 2
    assert "corpus.hyperparameters, novelty.tau; name another folder" in done.stderr


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", "{"),
        ("config.json", "[]"),
        ("stages.json", "{"),
        ("stages.json", "[" * 100_000),
        ("stages.json", '{"x": 1}'),
        ("stages.json", '[{"x": 1}]'),
    ],
)
def test_a_corpus_with_a_damaged_account_is_named(name: str, content: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "corpus.jsonl", Entry)
    ledger.extend(())
    ledger.finish()
    (tmp_path / name).write_text(content)
    done = CliRunner().invoke(main, ["corpus", "build", "--config", str(CONFIG), "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert f"{tmp_path / name}: is damaged: put it back, or remove {ledger.path}" in done.stderr


def test_several_containers_say_what_one_says(models: tuple[lemur.Model, ...]) -> None:
    sources = [model.source for model in models[:60]] + [b"class Net(", b"\xff", b"(" * 100_000]
    sandbox = load(CONFIG, (f"sandbox.image={TAG}", "sandbox.limits.cpus=1")).sandbox
    with Sandbox(sandbox, owner="test") as containers:
        parsers = Parsers(lambda: containers.parser(shingle=10), lanes=3, batch=20)
        found = list(parsers.parse_all(sources, complete=True, strip=True, compact=True))
        with containers.parser(shingle=10) as parser:
            assert found == [parser.parse(source, complete=True, strip=True, compact=True) for source in sources]
    assert [parsed.state for parsed in found[-3:]] == ["syntax_error"] * 3
