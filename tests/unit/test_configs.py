"""Every configuration that is shipped passes the real parser, and a wrong one is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config import load
from orchestrator.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = sorted(CONFIGS.glob("*.yaml"))


def test_there_are_shipped_configurations() -> None:
    assert {"quickstart", "paper-cifar10"} <= {path.stem for path in SHIPPED}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_configuration_is_valid_and_named_after_its_file(path: Path) -> None:
    assert load(path).name == path.stem


def test_the_paper_configuration_has_the_papers_constants() -> None:
    config = load(CONFIGS / "paper-cifar10.yaml")
    assert (config.llm.lora.r, config.llm.lora.layers, config.llm.sft.epochs) == (32, (0, 23), 5)
    assert (config.llm.decoding.temperature, config.llm.decoding.top_p) == (0.2, 0.9)
    assert (config.novelty.tau, config.novelty.permutations, config.novelty.shingle) == (0.9, 256, 10)
    assert (config.admission.threshold, config.cycles) == (0.4, 22)
    assert (config.budget.candidates, config.budget.dynamic_from, config.budget.admitted) == (50, 11, 30)
    assert (config.protocol.batch, config.protocol.lr, config.protocol.epochs) == (64, 0.01, 1)
    assert not config.completion
    assert not config.admission.enforce_budget


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("budget.candidats=3", "budget.candidats"),
        ("novelty.tau=1.5", "novelty.tau"),
        ("seed=-1", "seed"),
        ("protocol.dataset=imagenet", "protocol.dataset"),
        ("name.first=x", "name is a value"),
        ("nonsense", "section.key=value"),
        ("prompt.task=svhn", "prompt.task is svhn but protocol.dataset is fashion-mnist"),
    ],
)
def test_a_wrong_override_is_refused_and_named(override: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load(CONFIGS / "quickstart.yaml", (override,))


def test_an_override_changes_one_value_and_the_hash() -> None:
    plain, changed = load(CONFIGS / "quickstart.yaml"), load(CONFIGS / "quickstart.yaml", ("novelty.tau=0.8",))
    assert (plain.novelty.tau, changed.novelty.tau) == (0.9, 0.8)
    assert plain.hash() != changed.hash()
    assert plain.protocol.hash() == changed.protocol.hash()
