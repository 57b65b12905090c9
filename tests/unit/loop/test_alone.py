"""The language model by itself is refused before anything starts, by what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config import load
from orchestrator.errors import ConfigError
from orchestrator.loop.alone import finetune
from orchestrator.loop.fakes import fake_entry
from orchestrator.records import Entry
from orchestrator.run import Ledger, Store
from tests.support.checkout import CHECKOUT

QUICKSTART = load(CHECKOUT / "configs" / "quickstart.yaml")


@pytest.mark.parametrize(
    ("entries", "whole", "there", "said"),
    [(1, True, True, "exists"), (0, True, False, "holds no entry"), (1, False, False, "has no end marker")],
)
def test_a_corpus_or_a_place_that_will_not_do_is_named(
    tmp_path: Path, entries: int, *, whole: bool, there: bool, said: str
) -> None:
    ledger = Ledger(tmp_path / "corpus.jsonl", Entry)
    store = Store(tmp_path / "objects")
    ledger.extend([fake_entry(number, store, protocol=None) for number in range(entries)])
    if whole:
        ledger.finish()
    output = tmp_path / "adapter"
    if there:
        output.mkdir()
    with pytest.raises(ConfigError, match=said):
        finetune(QUICKSTART, corpus=ledger.path, output=output, cache=tmp_path)
