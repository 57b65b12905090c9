"""What the documents tell a reader to type and to look at exists."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from orchestrator.cli import main
from orchestrator.cli.options import configured
from orchestrator.evaluation.doctor import probes
from orchestrator.records import Limits
from sandbox_image import wire
from tests.docs.page import PAGES, Page

CHECKOUT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docker/README.md",
    "sandbox_image/README.md",
    *(f"docs/{path.name}" for path in sorted((CHECKOUT / "docs").glob("*.md"))),
)
COMMAND = re.compile(r"^orchestrate .+$", re.MULTILINE)
TARGET = re.compile(r"\bmake ([a-z]+)\b")
PROGRAM = re.compile(r"`(\w+\.py)`")
FOLDERS = ("orchestrator", "llm", "sandbox_image", "tests")
PATH = re.compile(r"`((?:orchestrator|llm|sandbox_image|docker|configs|tests|adversarial|integration|unit)/[\w./-]*)`")


def text(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


def leaf(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that `words` name, and what is left of them for it."""
    command: click.Command = main
    while isinstance(command, click.Group) and words:
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("line", [line for name in DOCUMENTS for line in COMMAND.findall(text(name))])
def test_every_command_in_the_documents_is_accepted(line: str, tmp_path: Path) -> None:
    command, words = leaf(shlex.split(line)[1:])
    mine = {word: tmp_path / Path(word).name for word in words if word.endswith((".py", ".jsonl"))}
    for path in mine.values():
        path.touch()
    words = [str(mine.get(word, word)) for word in words]
    words = [str(CHECKOUT / word) if word.startswith("configs/") else word for word in words]
    given = command.make_context(command.name, words).params
    if "overrides" in given and "config_path" in given:
        assert configured(given["config_path"], given["overrides"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.name)
def test_a_generated_page_says_what_the_code_says(page: Page) -> None:
    assert page.path.read_text(encoding="utf-8") == page.text(), "write it anew: make docs"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_program_that_the_documents_name_exists(name: str) -> None:
    there = {path.name for folder in FOLDERS for path in (CHECKOUT / folder).rglob("*.py")}
    assert set(PROGRAM.findall(text(name))) <= there


def test_every_probe_in_the_table_of_flags_exists() -> None:
    names = {probe.name for probe in probes(Limits(), import_seconds=1.0)}
    cells = [row.split("|")[-2] for row in text("docker/README.md").splitlines() if row.startswith("| `")]
    said = [name for cell in cells for name in re.findall(r"\*([^*]+)\*", cell)]
    assert len(said) > 5
    for name in said:
        assert any(known == name or known.startswith(name.removesuffix("…")) for known in names), name


def test_every_command_is_in_the_readme_and_has_help() -> None:
    readme = text("README.md")
    for name, command in main.commands.items():
        assert f"orchestrate {name}" in readme
        assert command.help


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_in_the_documents_exists(name: str) -> None:
    for path in PATH.findall(text(name)):
        assert (CHECKOUT / path).exists() or (CHECKOUT / "tests" / path).exists(), path


def test_the_table_of_frames_is_that_of_the_wire() -> None:
    sizes = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
    said: dict[bytes, int] = {}
    for row in text("sandbox_image/README.md").splitlines():
        if cells := re.match(r"\| ((?:`.`(?:, )?)+) \| [^|]+ \| [^|]+ \| (\d+) (\w+) \|", row):
            said |= dict.fromkeys(re.findall(rb"`(.)`", cells[1].encode()), int(cells[2]) * sizes[cells[3]])
    assert said == wire.TO_CONTAINER | wire.FROM_SUPERVISOR | wire.FROM_PARSER


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_target_in_the_documents_exists(name: str) -> None:
    done = subprocess.run(["make", "--dry-run", "help"], cwd=CHECKOUT, capture_output=True, check=True)
    assert done.returncode == 0
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    assert set(TARGET.findall(text(name))) <= targets


@pytest.mark.parametrize("script", ["docker/setup.sh", ".ci/run"])
def test_the_scripts_are_executable_and_parse(script: str) -> None:
    assert (CHECKOUT / script).stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", script], cwd=CHECKOUT, check=False).returncode == 0
