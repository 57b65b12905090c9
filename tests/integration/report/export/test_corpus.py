"""Exports are read by the tools that their users have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli import main
from tests.support.recorded_run import recorded


@pytest.mark.parametrize("chosen", ["parquet", "jsonl", "both"])
def test_an_exported_corpus_is_read_by_datasets(tmp_path: Path, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import load_dataset

    run, out = recorded(tmp_path / "run", cycles=2), tmp_path / "out"
    arguments = ["corpus", "export", str(run.path), "--out", str(out), "--cache", str(tmp_path / "cache")]
    done = CliRunner().invoke(main, [*arguments, "--format", chosen])
    assert done.exit_code == 0, done.output
    read = load_dataset(str(out), split="train", cache_dir=str(tmp_path / "datasets"))
    assert read.num_rows == 5
    assert read["messages"][0][-1]["role"] == "assistant"
    if chosen != "parquet":
        lines = [json.loads(line) for line in (out / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
        assert list(read["source"]) == [line["source"] for line in lines]
