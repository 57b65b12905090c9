"""The packages import each other as the table in docs/architecture.md says, and nothing goes round in a circle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT

TABLE = CHECKOUT / "docs" / "architecture.md"
ROOT = "orchestrator"
FACE, GROUND = "the library's face", "ground"
EVERYBODY = {GROUND, "records"}
OTHERS = {
    "llm": {"orchestrator.records", "orchestrator.answer"},
    "orchestrator": {"sandbox_image.wire"},
    "sandbox_image": set[str](),
}


def code(package: str) -> Iterator[Path]:
    """The modules of a package; probes are programs for a container."""
    yield from (path for path in sorted((CHECKOUT / package).rglob("*.py")) if "probes" not in path.parts)


def module(path: Path) -> str:
    return ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")


def targets(path: Path) -> Iterator[str]:
    """The modules that a module imports, wherever it does: the submodule if the name is one, else what it is in."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                inner = CHECKOUT / node.module.replace(".", "/") / name.name
                there = inner.with_suffix(".py").is_file() or (inner / "__init__.py").is_file()
                yield f"{node.module}.{name.name}" if there else node.module


def room(name: str) -> str:
    """The row of the table that a module belongs to."""
    parts = name.split(".")
    if len(parts) == 1:
        return FACE
    if parts[1] == "__main__":
        return "cli"
    return parts[1] if (CHECKOUT / ROOT / parts[1]).is_dir() else GROUND


def allowed() -> dict[str, set[str]]:
    """What the table says: for each package those that it may import."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.read_text("utf-8").splitlines()
            if line.startswith("| `")]  # fmt: skip
    found = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[3])) for row in rows if len(row) == 4}
    assert len(found) == 10
    return found


def arrows() -> dict[str, set[str]]:
    """For each module of ours those of ours that it imports."""
    return {module(path): {one for one in targets(path) if one.split(".")[0] == ROOT} for path in code(ROOT)}


def test_the_table_names_every_package_and_every_module_of_the_ground() -> None:
    inside = {path.name for path in (CHECKOUT / ROOT).iterdir() if (path / "__init__.py").is_file()}
    assert inside | {GROUND} == set(allowed())
    (ground,) = (line for line in TABLE.read_text("utf-8").splitlines() if line.startswith(f"| `{GROUND}`"))
    named = set(re.findall(r"`(\w+)`", ground.split("|")[2]))
    assert named == {path.stem for path in (CHECKOUT / ROOT).glob("*.py")} - {"__init__", "__main__"}


def test_every_arrow_between_packages_stands_in_the_table() -> None:
    rows = allowed()
    wrong = [
        f"{source} imports {target}"
        for source, found in arrows().items()
        for target in found
        if (here := room(source)) not in {FACE, (there := room(target))}
        and there not in rows[here] | (EVERYBODY if here != "records" else set())
        and not (here == "cli" and there == FACE)
    ]
    assert not wrong


def test_an_arrow_that_the_table_does_not_have_would_be_seen() -> None:
    assert room("orchestrator.run.ledger") == "run"
    assert room("orchestrator.config") == GROUND
    assert room("orchestrator.__main__") == "cli"
    assert "loop" not in allowed()["report"]
    assert not allowed()["records"]
    assert "orchestrator.run" in set(targets(CHECKOUT / ROOT / "loop" / "cycle.py"))


@pytest.mark.parametrize("package", ["orchestrator", "llm", "sandbox_image"])
def test_no_module_imports_itself_through_others(package: str) -> None:
    graph = {module(path): {one for one in targets(path) if one.split(".")[0] == package} for path in code(package)}
    graph.pop("orchestrator", None)  # it imports nothing before a name is asked for
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("package", OTHERS)
def test_the_three_programs_share_nothing_but_records_the_wire_and_what_an_answer_is(package: str) -> None:
    for path in code(package):
        ours = {one for one in targets(path) if one.split(".")[0] in OTHERS and one.split(".")[0] != package}
        assert all(one.startswith(tuple(OTHERS[package])) for one in ours if OTHERS[package]), path
        assert OTHERS[package] or not ours, path


def test_every_package_says_in_one_sentence_what_it_is_for() -> None:
    for name in allowed().keys() - {GROUND}:
        text = ast.get_docstring(ast.parse((CHECKOUT / ROOT / name / "__init__.py").read_text(encoding="utf-8")))
        assert text, name
        assert len(text.splitlines()) == 1, name
        assert text.endswith("."), name
