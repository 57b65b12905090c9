"""One evaluator with short deadlines, on a small part of the real images, for hostile and honest programs alike."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.config import Config, parse
from orchestrator.datasets import Prepared, prepare
from orchestrator.evaluate import SandboxEvaluator
from orchestrator.store import Store

CACHE = Path(__file__).parent.parent.parent / ".cache"
SETTINGS = {
    "name": "adversarial",
    "protocol": {"dataset": "fashion-mnist", "train_samples": 512, "validation_samples": 200},
    "prompt": {"task": "fashion-mnist"},
    "llm": {"model": {"source": "none"}},
    "sandbox": {
        "slots": 2,
        "limits": {"memory": 1 << 30, "pids": 64},
        "deadlines": {"import": 15, "instantiate": 15, "forward": 15, "train": 20, "predict": 20},
    },
}


@pytest.fixture(scope="session")
def config() -> Config:
    """The settings of the suite, under runc unless SANDBOX_RUNTIME says otherwise."""
    config = parse(SETTINGS, origin="adversarial settings")
    sandbox = config.sandbox.model_copy(update={"runtime": os.environ.get("SANDBOX_RUNTIME", "runc")})
    return config.model_copy(update={"sandbox": sandbox})


@pytest.fixture(scope="session")
def prepared(config: Config) -> Prepared:
    """The real images that the suite's programs train on."""
    return prepare(config.protocol, CACHE)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Where sources, logs and predictions of the suite lie."""
    return Store(tmp_path_factory.mktemp("objects"))


@pytest.fixture(scope="session")
def evaluator(config: Config, prepared: Prepared, store: Store) -> Iterator[SandboxEvaluator]:
    """The product's own evaluator, with real containers."""
    with SandboxEvaluator(config=config, store=store, prepared=prepared, key=b"a key of this suite only") as evaluator:
        yield evaluator
