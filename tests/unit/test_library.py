"""The library: a few names, looked up when they are asked for, with examples that run."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import orchestrator
from orchestrator.errors import ConfigError
from orchestrator.evaluation import Submission
from orchestrator.evaluation.programs import submission
from orchestrator.records import digest
from tests.support.imports import imported
from tests.support.recorded_run import recorded

HEAVY = ("torch", "docker", "numpy", "pydantic", "click", "duckdb", "pandas", "pyarrow", "yaml", "requests")
ADMITTED = "admitted"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> orchestrator.Run:
    return orchestrator.open_run(recorded(tmp_path_factory.mktemp("runs") / "recorded").path)


def test_importing_it_prints_nothing_and_imports_nothing_heavy() -> None:
    assert imported("import orchestrator", HEAVY) == []


def test_every_name_is_there_and_says_what_it_takes_gives_and_raises() -> None:
    assert set(orchestrator.__all__) == set(dir(orchestrator)) == set(orchestrator.HOMES)
    for name in orchestrator.__all__:
        found = getattr(orchestrator, name)
        assert found.__module__ == orchestrator.HOMES[name]
        if inspect.isfunction(found):
            text = inspect.getdoc(found) or ""
            assert "Raises:" in text, name
            assert "orchestrator." in text or name == "load", name
            hints = inspect.signature(found)
            assert hints.return_annotation is not inspect.Signature.empty, name


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'evaluat'"):
        orchestrator.evaluat  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    "overrides", [{"cycles": 3, "sandbox.runtime": "runsc"}, ("cycles=3", "sandbox.runtime=runsc")]
)
def test_a_shipped_configuration_is_loaded_by_name_with_single_keys_changed(overrides: Any) -> None:
    config = orchestrator.load("quickstart", overrides)
    assert (config.name, config.cycles, config.sandbox.runtime) == ("quickstart", 3, "runsc")


def test_a_key_that_is_none_is_named_with_what_was_said() -> None:
    with pytest.raises(ConfigError, match=r"with --set novelty\.tauu=0\.5: novelty\.tauu: there is no such key"):
        orchestrator.load("quickstart", {"novelty.tauu": 0.5})
    with pytest.raises(ConfigError, match=r"quickstrat: there is no such file.*Did you mean quickstart"):
        orchestrator.load("quickstrat")


def test_a_program_is_called_after_its_content_however_it_is_given(tmp_path: Path) -> None:
    text = "import torch  # \N{GREEK SMALL LETTER TAU}\n"
    (tmp_path / "model.py").write_bytes(text.encode())
    made = [submission(one) for one in (text, text.encode(), tmp_path / "model.py")]
    assert made == [Submission(candidate_id=digest(text.encode())[:16], source=text.encode())] * 3
    assert submission(Submission("mine", None)) == Submission("mine", None)


def test_a_run_is_read_as_records(run: orchestrator.Run) -> None:
    assert [one.cycle for one in run.cycles()] == list(range(1, run.config.cycles + 1))
    counts = [len(records) for records in (run.completions(), run.candidates(), run.verdicts())]
    assert counts == [sum(one.generated for one in run.cycles())] * 3
    assert len(run.verdicts(cycle=1)) == run.cycles()[0].generated
    admitted = [one.candidate_id for one in run.novelty() if one.decision == ADMITTED]
    assert [entry.entry_id for entry in run.corpus() if entry.origin.startswith("cycle:")] == admitted
    assert run.name == run.path.name


def test_a_program_is_read_as_it_was_written_and_an_unknown_one_is_named(run: orchestrator.Run) -> None:
    best = max(run.verdicts(), key=lambda verdict: verdict.accuracy or 0.0)
    text = run.source(best.candidate_id)
    assert text is not None
    assert b"import torch" in text
    none = next(one.candidate_id for one in run.candidates() if one.source is None)
    assert run.source(none) is None
    with pytest.raises(ConfigError, match="has no candidate c099-0000"):
        run.source("c099-0000")


@pytest.mark.parametrize("view", ["candidates", "verdicts", "cycles", "corpus"])
def test_a_view_is_a_table_of_either_kind(run: orchestrator.Run, view: Any) -> None:
    frame, table = run.frame(view), run.frame(view, kind="arrow")
    assert len(frame) == table.num_rows > 0
    assert list(frame.columns) == table.column_names
    assert set(frame["run"]) == {run.name}


def test_tables_are_grouped_as_the_ledgers_have_it(run: orchestrator.Run) -> None:
    states = run.frame("candidates").groupby("state").size().to_dict()
    expected: dict[str, int] = {}
    for one in run.cycles():
        for state, count in one.states.items():
            expected[state] = expected.get(state, 0) + count
    assert states == expected
    best = run.query("SELECT max(accuracy) AS best FROM candidates")
    assert best["best"][0] == max(one.accuracy_best or 0.0 for one in run.cycles())


def test_sql_that_is_no_select_or_names_no_view_is_refused(run: orchestrator.Run) -> None:
    with pytest.raises(ConfigError, match="write one SELECT"):
        run.query("DROP TABLE candidates")
    with pytest.raises(ConfigError, match="nowhere"):
        run.frame("nowhere")  # type: ignore[arg-type]


def test_a_run_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no run"):
        orchestrator.open_run("nowhere", runs=tmp_path)
