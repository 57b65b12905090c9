"""An exported adapter: bit for bit what the run recorded, or an error that names the file; and a card beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from orchestrator.cli import main
from orchestrator.config import Config
from orchestrator.records import Adapter, AdapterMeasured, ModelSpec, digest
from orchestrator.report.export import licences
from orchestrator.report.export.adapter import BASE, SETTINGS, WEIGHTS
from orchestrator.run import RunFolder
from orchestrator.run.chain import JOURNAL
from tests.support.bench import Bench, config

CONTENT = b"weights"
LOSS = tuple(1.0 - step / 100 for step in range(50))


def trained(path: Path, changed: Config | None = None) -> RunFolder:
    """A run whose first cycle has an adapter and no candidate."""
    run = RunFolder.create(path, changed or config(cycles=1))
    folder = run.cycle(1)
    folder.weights.mkdir(parents=True)
    (folder.weights / WEIGHTS).write_bytes(CONTENT)
    (folder.weights / SETTINGS).write_text(json.dumps({BASE: "/home/somebody/models/base", "r": 32}))
    (folder.weights / "README.md").write_text("base_model: /home/somebody/models/base\n")
    run.record_weights(folder)
    folder.adapter.append(
        Adapter(
            path=folder.weights.name,
            base_model="fake",
            entries=28,
            steps=len(LOSS),
            tokens=1234,
            trainable_parameters=5678,
            optimizer="adamw",
            loss=LOSS,
            corpus=digest(b"corpus"),
            weights=digest(CONTENT),
            measured=AdapterMeasured(seconds=60.0),
        )
    )
    folder.adapter.finish()
    return run


def export(run: Path, out: Path, *, cycle: int = 1) -> Result:
    arguments = ["--out", str(out), "--cycle", str(cycle), "--cache", str(out.parent / "cache")]
    return CliRunner().invoke(main, ["adapter", "export", str(run), *arguments])


def test_the_weights_are_exported_as_they_are_and_no_path_of_the_machine_goes_along(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    done = export(run.path, tmp_path / "out")
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'out'}\n")
    assert (tmp_path / "out" / WEIGHTS).read_bytes() == CONTENT
    assert json.loads((tmp_path / "out" / SETTINGS).read_bytes()) == {BASE: "fake", "r": 32}
    assert all(b"somebody" not in path.read_bytes() for path in (tmp_path / "out").iterdir())


def test_the_card_has_pefts_header_and_the_numbers_of_the_training(tmp_path: Path) -> None:
    export(trained(tmp_path / "run").path, tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    head: dict[str, Any] = yaml.safe_load(text.split("---\n", 2)[1])
    assert (head["base_model"], head["library_name"]) == ("fake", "peft")
    assert "license" not in head
    for shown in (
        digest(b"corpus"),
        digest(CONTENT),
        "| steps | 50 |",
        "| first | 1.0000 | 0.9800 |",
        "| last | 0.5100 |",
    ):
        assert shown in text
    assert "# The adapter of cycle 1 of the run run" in text
    assert "What licence the base model `fake` has was not found here" in text
    assert "No cycle that sampled from it is complete yet" in text


def test_the_card_tells_what_the_adapter_generated_with_intervals(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", config(cycles=1))
    [summary] = bench.run()
    folder = RunFolder.load(bench.folder).cycle(1)
    record = folder.adapter.read()[0].model_copy(update={"weights": digest((folder.weights / WEIGHTS).read_bytes())})
    (folder.weights / SETTINGS).write_text("{}")
    folder.adapter.path.write_text(record.model_dump_json() + "\n")
    (bench.folder / JOURNAL).unlink()
    assert export(bench.folder, tmp_path / "out").exit_code == 0
    text = (tmp_path / "out" / "README.md").read_text()
    assert summary.valid_interval is not None
    assert f"{summary.valid_rate:.1%} [{100 * summary.valid_interval.low:.1f}," in text
    assert "it has no journal to hold the other files against" in text


@pytest.mark.parametrize("name", [WEIGHTS, SETTINGS])
def test_a_changed_file_is_refused_by_name_and_nothing_is_left(tmp_path: Path, name: str) -> None:
    run = trained(tmp_path / "run")
    (run.cycle(1).weights / name).write_bytes(b"{}")
    done = export(run.path, tmp_path / "out")
    assert done.exit_code == 1
    assert f"cycle-001/adapter/{name}: was changed" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_file_that_was_added_or_removed_is_refused_by_name(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    (run.cycle(1).weights / "extra.bin").touch()
    assert "extra.bin: was added" in export(run.path, tmp_path / "out").stderr
    (run.cycle(1).weights / "extra.bin").unlink()
    (run.cycle(1).weights / WEIGHTS).unlink()
    assert f"{WEIGHTS}: is missing" in export(run.path, tmp_path / "out").stderr


@pytest.mark.parametrize(
    ("changed", "cycle", "named"),
    [
        (config(cycles=1), 2, "has no adapter of it yet"),
        (config(cycles=1, llm={"finetune": False}), 1, "llm.finetune off"),
    ],
)
def test_an_adapter_that_is_not_there_is_bad_usage(tmp_path: Path, changed: Config, cycle: int, named: str) -> None:
    done = export(trained(tmp_path / "run", changed).path, tmp_path / "out", cycle=cycle)
    assert done.exit_code == 2
    assert named in done.stderr


def test_without_iteration_every_cycle_samples_from_the_first_adapter(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", config(cycles=3, llm={"iterate": False}))
    done = export(run.path, tmp_path / "out", cycle=3)
    assert done.exit_code == 0
    assert "cycle 3 samples from the adapter of cycle 1" in done.stderr


def test_a_models_licence_is_read_from_its_card(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: mit\ntags: [a]\n---\n# Model\n")
    assert licences.of_model(ModelSpec(source=str(tmp_path)), tmp_path).words == "mit"
    (tmp_path / "README.md").write_text("# Model\nlicense: mit\n")
    assert licences.of_model(ModelSpec(source=str(tmp_path)), tmp_path).words is None
