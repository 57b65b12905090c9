"""The real LEMUR gives the numbers that are known of it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from orchestrator.config import load
from orchestrator.corpus import lemur, stages
from orchestrator.language_model import assets
from sandbox_image.parser import Inspection
from sandbox_image.parser import inspect as inspect_one
from tests.support.checkout import CHECKOUT


@pytest.fixture(scope="module")
def wheel() -> Path:
    return assets.wheel("nn-dataset==2.1.2", CHECKOUT / ".cache")


def inspect(sources: Iterable[bytes], *, complete: bool, strip: bool, compact: bool) -> Iterator[Inspection]:
    with ProcessPoolExecutor(max_workers=2) as pool:
        yield from pool.map(
            partial(inspect_one, complete=complete, strip=strip, compact=compact), list(sources), chunksize=64
        )


def test_lemurs_models_trials_and_accuracies_are_counted(wheel: Path) -> None:
    found = lemur.read(wheel)
    accuracies = [model.accuracy for model in found.models if model.accuracy is not None]
    assert len(found.models) == 10_482
    assert found.trials == 578_595
    assert found.best_rows == 103_941
    assert len(accuracies) == 5_724
    assert round(statistics.median(accuracies), 3) == 0.439


def test_the_papers_chain_of_curation_gives_the_known_counts(wheel: Path) -> None:
    config = load(CHECKOUT / "configs" / "paper-cifar10.yaml")
    found = stages.build(config, wheel=wheel, inspect=inspect)
    kept = {stage.name: stage.kept for stage in found.stages}
    assert kept["parsed"] == 10_482
    assert kept["contract"] == 10_478  # 14 have methods from a base class
    assert kept["hyperparameters"] == 1_093
    assert (kept["trial records"], kept["best rows"], kept["model files"]) == (578_595, 103_941, 10_482)
    clusters = next(stage for stage in found.stages if stage.name == "near-duplicates").clusters
    assert sum(len(members) for members in clusters.values()) == kept["length"] - kept["near-duplicates"]
    assert kept["chat pairs"] == 2 * len(found.seeds) == 2 * kept["train split"]
    assert kept["train split"] == round(0.8 * kept["near-duplicates"])
