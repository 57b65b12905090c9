"""An exported corpus: whole or not at all, in order, the same bytes each time, under a card that says what it is."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from click.testing import CliRunner, Result

from orchestrator.cli import main
from orchestrator.errors import ConfigError
from orchestrator.loop.fakes import fake_entry
from orchestrator.report.export.corpus import COLUMNS, corpus_of, rows
from orchestrator.report.export.folder import new_folder
from orchestrator.run import RunFolder, provenance
from orchestrator.run.functional_duplicates import twins
from orchestrator.run.provenance import corpus_hash
from orchestrator.run.query import opened_database
from tests.support.bench import Bench, config
from tests.support.recorded_run import recorded


def export(run: RunFolder, out: Path, *arguments: str) -> Result:
    cache = str(out.parent / "cache")
    return CliRunner().invoke(
        main, ["corpus", "export", str(run.path), "--out", str(out), "--cache", cache, *arguments]
    )


def exported(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "corpus.jsonl").read_text().splitlines()]


def header(out: Path) -> dict[str, Any]:
    _, block, _ = (out / "README.md").read_text().split("---\n", 2)
    values: dict[str, Any] = yaml.safe_load(block)
    return values


def wheel(cache: Path, *, files: dict[str, str]) -> None:
    (cache / "wheels").mkdir(parents=True)
    with zipfile.ZipFile(cache / "wheels" / "nn_dataset-2.1.2-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def seeded_with_lemur(path: Path) -> RunFolder:
    run = recorded(path / "recorded")
    again = RunFolder.create(path / "run", run.config)
    entry = fake_entry(0, again.store, protocol=run.config.protocol.hash())
    again.corpus.append(entry.model_copy(update={"origin": "nn-dataset==2.1.2:net"}))
    again.corpus.finish()
    return again


def test_every_entry_stands_in_order_with_program_and_nearest_neighbour(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", cycles=2)
    done = export(run, tmp_path / "out")
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'out'}\n")
    entries = [*run.corpus.read(), *(entry for folder in run.cycles() for entry in folder.entries.read())]
    found = exported(tmp_path / "out")
    assert [row["entry_id"] for row in found] == [entry.entry_id for entry in entries]
    assert [row["source"].encode() for row in found] == [run.store.get(entry.source) for entry in entries]
    assert [row["cycle"] for row in found[:3]] == [0, 0, 0]
    assert found[-1]["cycle"] == 2
    assert found[-1]["messages"] == [message.model_dump() for message in entries[-1].messages]
    assert (found[-1]["nearest_id"], found[-1]["nearest_in"]) == ("c002-0003", "cycle")
    assert (found[-1]["nearest_estimate"], found[-1]["nearest_exact"]) == (0.5, 0.45)
    assert found[0]["nearest_id"] is None
    assert found[-1]["parameters"] == 123456
    assert found[-1]["fingerprint"] == next(
        one.claimed.fingerprint for one in run.cycle(2).verdicts.read() if one.candidate_id == found[-1]["entry_id"]
    )
    assert [row["functional_twin"] for row in found] == [twins(run).earlier.get(row["entry_id"]) for row in found]
    assert found[0]["fingerprint"] == run.corpus.read()[0].fingerprint is not None
    with opened_database({"run": run.path}) as database:
        asked = database.ask("SELECT entry_id, fingerprint FROM corpus ORDER BY cycle, entry_id").rows
    assert asked == [(row["entry_id"], row["fingerprint"]) for row in found]


def test_the_card_names_the_run_and_all_that_it_was_made_with(tmp_path: Path) -> None:
    run = recorded(tmp_path / "warmer")
    first = provenance.gather(run.config, sandbox={}, dataset="0" * 64, seeds=run.corpus.read())
    for line in (first, first.model_copy(update={"image": "sha256:later", "git_dirty": True})):
        provenance.record(run.provenance, line.model_copy(update={"engine": "20.10"}))
    export(run, tmp_path / "out", "--cycle", "0")
    text = (tmp_path / "out" / "README.md").read_text()
    assert "# The corpus of the run warmer" in text
    assert "| Docker engine | 20.10 |" in text
    assert "sha256:later |" in text
    assert "Some of it changed between resumptions of the run" in text
    assert "no cycle's numbers belong to it" in text
    assert "of the 0 admitted programs" not in text


def test_parquet_and_json_lines_hold_the_same_rows_bit_for_bit(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    export(run, tmp_path / "out")
    shards = sorted((tmp_path / "out" / "data").iterdir())
    assert [path.name for path in shards] == ["train-00000-of-00001.parquet"]
    with duckdb.connect() as connection:
        table = connection.read_parquet(str(shards[0]))
        names, values = table.columns, table.fetchall()
    assert names == [column.name for column in COLUMNS]
    assert [dict(zip(names, row, strict=True)) for row in values] == exported(tmp_path / "out")


def test_two_exports_of_one_run_are_the_same_bytes(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    for name in ("a", "b"):
        export(run, tmp_path / name)
    files = [path.relative_to(tmp_path / "a") for path in sorted((tmp_path / "a").rglob("*")) if path.is_file()]
    assert len(files) == 3
    assert [(tmp_path / "a" / name).read_bytes() for name in files] == [
        (tmp_path / "b" / name).read_bytes() for name in files
    ]


@pytest.mark.parametrize(("cycle", "count"), [(0, 3), (1, 4)])
def test_a_chosen_cycle_ends_the_corpus(tmp_path: Path, cycle: int, count: int) -> None:
    run = recorded(tmp_path / "run", cycles=2)
    assert len(corpus_of(run, cycle=cycle).entries) == count
    assert corpus_of(run, cycle=cycle).entries == run.corpus_before(cycle + 1)


def test_a_cycle_that_is_not_whole_is_left_out_and_refused_by_number(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", cycles=2)
    ledger = run.cycle(2).entries.path
    ledger.write_bytes(ledger.read_bytes().rpartition(b'{"kind":"end"')[0])
    assert corpus_of(run).cycles == 1
    with pytest.raises(ConfigError, match=r"--cycle 2: .* has 1 cycles"):
        corpus_of(run, cycle=2)


def test_one_format_alone_is_what_the_header_points_to(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    for chosen, path in (("jsonl", "corpus.jsonl"), ("parquet", "data/train-*.parquet")):
        export(run, tmp_path / chosen, "--format", chosen)
        assert header(tmp_path / chosen)["configs"][0]["data_files"] == [{"split": "train", "path": path}]
        assert len(list((tmp_path / chosen).rglob(Path(path).name))) == 1
    assert not (tmp_path / "jsonl" / "data").exists()
    assert not (tmp_path / "parquet" / "corpus.jsonl").exists()


def test_the_card_says_counts_thresholds_chance_protocol_and_the_corpus_hash(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", cycles=2)
    export(run, tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    for shown in (
        corpus_hash(corpus_of(run).entries),
        run.config.protocol.hash(),
        "5 chat pairs of 5 programs",
        "| cycle 2 | 1 | 1 | 1 |",
        "accuracy above 50.0%",
        "To compare with: chance 10.0%, majority class 10.0%",
        "untrusted code",
        "official test split",
    ):
        assert shown in text
    assert [feature["name"] for feature in header(tmp_path / "out")["dataset_info"]["features"]] == [
        column.name for column in COLUMNS
    ]


def test_the_licence_texts_of_the_seed_programs_go_with_them(tmp_path: Path) -> None:
    metadata = "Name: nn-dataset\nLicense: a text\nClassifier: License :: OSI Approved :: MIT License\n"
    files = {"nn_dataset-2.1.2.dist-info/METADATA": metadata, "doc/licenses/LICENSE-BSD": "bsd", "ab/nn/nn/x.py": ""}
    wheel(tmp_path / "cache", files=files)
    export(seeded_with_lemur(tmp_path), tmp_path / "out")
    assert (tmp_path / "out" / "licences" / "01-LICENSE-BSD").read_text() == "bsd"
    assert "states: MIT License." in (tmp_path / "out" / "README.md").read_text()


def test_a_licence_that_was_not_found_is_said_and_not_guessed(tmp_path: Path) -> None:
    done = export(seeded_with_lemur(tmp_path), tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    assert done.exit_code == 0
    assert "put its licence texts beside the data" in done.stderr
    assert "states none that was found" in text
    assert "MIT" not in text


def test_nothing_is_written_over_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    done = export(recorded(tmp_path / "run"), tmp_path / "out")
    assert done.exit_code == 2
    assert "not empty" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_an_export_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    run.store.path(run.corpus.read()[1].source).unlink()
    done = export(run, tmp_path / "out")
    assert done.exit_code == 1
    assert "cannot be read" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out") as folder:
        (folder / "file").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "file"]


def test_a_program_is_exported_only_with_the_content_that_its_digest_names(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    assert all(
        row["source_sha256"] == entry.source
        for row, entry in zip(rows(run, corpus_of(run)), corpus_of(run).entries, strict=True)
    )


def test_the_card_counts_admitted_programs_whose_exact_similarity_is_beyond_the_bound(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", cycles=2)
    ledger = run.cycle(1).novelty.path
    ledger.write_text(ledger.read_text().replace('"exact":0.45', '"exact":0.91'))
    export(run, tmp_path / "out")
    assert "similarity of 1 of the 2 admitted programs is above" in (tmp_path / "out" / "README.md").read_text()


def test_the_card_of_a_baseline_claims_no_language_model(tmp_path: Path) -> None:
    changed = config(cycles=1, llm={"model": {"source": "fake"}, "sampler": "corpus", "finetune": False})
    bench = Bench(tmp_path / "run", changed)
    bench.run()
    export(RunFolder.load(bench.folder), tmp_path / "out")
    assert "drawn from the corpus itself" in (tmp_path / "out" / "README.md").read_text()
