"""A clean corpus: what is cheap to know is asked first, and containers run for nothing that it drops."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import Config, dump, load, parse
from orchestrator.corpus import build, stages
from orchestrator.corpus.curation import Drop, Stage
from orchestrator.corpus.filters import Assay
from orchestrator.corpus.qualify import Seed
from orchestrator.errors import ConfigError
from orchestrator.records import Digest, Failed
from orchestrator.sandbox import Engine
from sandbox_image.parser import Inspection
from sandbox_image.parser import inspect as inspect_one
from tests.support.checkout import QUICKSTART

BOUNDS = {"model_tokens": 100, "min_accuracy": 0.3}
COLLAPSED = Failed(state="failed", stage="forward", cause="RuntimeError: Output size is too small")


def program(seed: int, *, extra: str = "") -> str:
    layers = "".join(f"        self.l{seed}_{n} = nn.Conv2d({seed}, {n}, {seed + n})\n" for n in range(12))
    return (
        f"{extra}import torch\nimport torch.nn as nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self, in_shape, out_shape, prm, device):\n        super().__init__()\n"
        f"{layers}    def forward(self, x):\n        return self.net(x)\n"
        "    def train_setup(self, prm):\n        pass\n    def learn(self, train_data):\n        pass\n"
        "\n\ndef supported_hyperparameters():\n    return {'lr', 'momentum'}\n"
    )


MODELS = {
    "good": (program(1), 0.7),
    "twin": (program(1) + "# only a comment differs\n", 0.6),
    "bound": (program(2), 0.3),
    "weak": (program(3), 0.29),
    "unknown": (program(4), None),
    "numpy": (program(5, extra="import numpy\n"), 0.8),
    "long": (program(6), 0.8),
    "collapses": (program(7), 0.9),
}


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "lemur.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, (text, accuracy) in MODELS.items():
            archive.writestr(f"ab/nn/nn/{name}.py", text)
            trials = [] if accuracy is None else [{"accuracy": accuracy}]
            archive.writestr(f"ab/nn/stat/train/img-classification_cifar-10_acc_{name}/1.json", json.dumps(trials))
    return path


def inspect(sources: Iterable[bytes], *, complete: bool, strip: bool, compact: bool) -> Iterator[Inspection]:
    for source in sources:
        yield inspect_one(source, complete=complete, strip=strip, compact=compact)


class Fake:
    """Counts 100 tokens in every text but one, finds that one program collapses, and remembers what it was asked."""

    def __init__(self) -> None:
        self.counted: list[str] = []
        self.tried: list[str] = []

    def count(self, texts: Sequence[str]) -> list[int]:
        self.counted += texts
        return [101 if text == MODELS["long"][0] else 100 for text in texts]

    def dry_run(self, seeds: Sequence[Seed]) -> Mapping[Digest, Failed | None]:
        self.tried += [seed.name for seed in seeds]
        return {seed.digest: COLLAPSED if seed.name == "collapses" else None for seed in seeds}

    @property
    def assay(self) -> Assay:
        return Assay(count=self.count, dry_run=self.dry_run)


def config(*, llm: Mapping[str, Any] | None = None, **section: object) -> Config:
    model = {"model": {"source": "none"}} | dict(llm or {})
    data = {"name": "test", "protocol": {}, "prompt": {}, "llm": model, "corpus": {"train_split": 1.0} | section}
    return parse(data, origin="test")


def built(wheel: Path, **section: object) -> tuple[stages.Curation, dict[str, Stage], Fake]:
    fake = Fake()
    found = stages.build(config(**section), wheel=wheel, inspect=inspect, assay=fake.assay)
    return found, {stage.name: stage for stage in found.stages}, fake


def test_a_clean_corpus_holds_what_is_short_known_to_learn_and_runs(wheel: Path) -> None:
    found, stages, _ = built(wheel, clean=BOUNDS)
    assert {seed.name for seed in found.seeds} == {"good", "bound"}
    assert stages["first-epoch accuracy"].drops == (
        Drop("unknown", "none is known"),
        Drop("weak", "accuracy under 0.3", "0.2900"),
    )
    assert stages["imports"].drops == (Drop("numpy", "imports more than torch", "numpy"),)
    assert stages["model tokens"].drops == (Drop("long", "over 100 model tokens", "101"),)
    assert stages["dry run"].drops == (Drop("collapses", "failed in forward", COLLAPSED.cause),)


def test_what_costs_more_is_asked_about_what_is_left_alone(wheel: Path) -> None:
    found, _, fake = built(wheel, clean=BOUNDS)
    order = [stage.name for stage in found.stages]
    chosen = ["first-epoch accuracy", "imports", "model tokens", "near-duplicates", "dry run", "train split"]
    assert [name for name in order if name in chosen] == chosen
    assert sorted(fake.counted) == sorted(MODELS[name][0] for name in ("good", "twin", "bound", "long", "collapses"))
    assert sorted(fake.tried) == ["bound", "collapses", "good"]


def test_every_stage_of_a_clean_corpus_accounts_for_what_it_drops(wheel: Path) -> None:
    found, _, _ = built(wheel, clean=BOUNDS)
    named = found.stages[2:-1]
    for before, stage in pairwise(named):
        assert stage.kept + len(stage.drops) == before.kept, stage.name
    assert found == built(wheel, clean=BOUNDS)[0]


def test_without_clean_nothing_is_counted_and_nothing_runs(wheel: Path) -> None:
    found, reported, fake = built(wheel)
    assert (fake.counted, fake.tried) == ([], [])
    assert not {"first-epoch accuracy", "imports", "model tokens", "dry run"} & reported.keys()
    assert found == stages.build(config(), wheel=wheel, inspect=inspect)


def test_programs_are_clean_before_they_are_qualified(wheel: Path) -> None:
    seeds, _ = stages.candidates(config(clean=BOUNDS), wheel=wheel, inspect=inspect, assay=Fake().assay)
    assert {seed.name for seed in seeds} == {"good", "bound"}


@pytest.mark.parametrize(
    ("section", "llm", "named"),
    [
        ({"clean": BOUNDS, "qualified": "qualified-fashion-mnist.jsonl"}, {}, r"corpus\.clean and corpus\.qualified"),
        ({"clean": BOUNDS | {"model_tokens": 4096}}, {}, r"corpus\.clean\.model_tokens is 4096.*llm\.sft\.max_length"),
        ({"clean": BOUNDS, "min_accuracy": 0.5}, {}, r"corpus\.clean\.min_accuracy"),
    ],
)
def test_a_contradiction_is_refused_before_anything_is_read(
    tmp_path: Path, section: dict[str, object], llm: dict[str, object], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        stages.build(config(llm=llm, **section), wheel=tmp_path / "none", inspect=inspect, assay=Fake().assay)


def test_a_text_may_be_longer_than_what_is_trained_on_where_nothing_is(wheel: Path) -> None:
    settings = config(llm={"finetune": False}, clean=BOUNDS | {"model_tokens": 10_000})
    assert stages.build(settings, wheel=wheel, inspect=inspect, assay=Fake().assay).seeds


@pytest.mark.parametrize("bounds", [{}, {"model_tokens": 0, "min_accuracy": 0.3}, BOUNDS | {"tokens": 3}])
def test_bounds_that_are_missing_or_wrong_are_named(bounds: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"corpus\.clean\."):
        config(clean=bounds)


def test_a_configuration_from_before_there_was_clean_has_the_same_hash_and_text() -> None:
    plain = load(QUICKSTART)
    assert "clean" not in dump(plain)["corpus"]
    bounds = ("corpus.clean.model_tokens=512", "corpus.clean.min_accuracy=0.3", "corpus.qualified=null")
    strict = load(QUICKSTART, bounds)
    assert dump(strict)["corpus"]["clean"] == {"model_tokens": 512, "min_accuracy": 0.3}
    assert strict.hash() != load(QUICKSTART, bounds[2:]).hash()
    assert strict.protocol.hash() == plain.protocol.hash()


def test_the_tokenizer_and_the_sandbox_are_not_touched_before_they_are_asked(tmp_path: Path) -> None:
    assay = build._assay(config(clean=BOUNDS), tmp_path, Engine(), record=build.unrecorded, report=print)
    assert assay.count([]) == ()
    assert list(tmp_path.iterdir()) == []
