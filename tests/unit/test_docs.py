"""What the documents tell a reader to type and to look at exists."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest

from orchestrator.cli import main
from orchestrator.cli.options import configured
from orchestrator.evaluation.doctor import probes
from orchestrator.records import Limits
from sandbox_image import wire
from tests.docs.commands import commands
from tests.docs.page import PAGES, Page
from tests.support.checkout import CHECKOUT

DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docker/README.md",
    "sandbox_image/README.md",
    *(f"docs/{path.name}" for path in sorted((CHECKOUT / "docs").glob("*.md"))),
)
COMMAND = re.compile(r"^orchestrate .+$", re.MULTILINE)
TARGETS = re.compile(r"(?:^|`)make ([a-z ]+)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
MESSAGE = re.compile(r"^\| (`[^|]+`) \|", re.MULTILINE)
PROGRAM = re.compile(r"`(\w+\.py)`")
FOLDERS = ("orchestrator", "llm", "sandbox_image", "tests", "docs")
GENERATED = {f"docs/{page.path.name}" for page in PAGES}
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
    given: dict[str, Any] = {}
    with suppress(click.exceptions.Exit):  # as with --views, which says its piece and ends
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
    named = [name for cell in cells for name in re.findall(r"\*([^*]+)\*", cell)]
    assert len(named) > 5
    for name in named:
        assert any(known == name or known.startswith(name.removesuffix("…")) for known in names), name


def test_every_command_has_help_and_is_shown_on_a_page_that_a_person_wrote() -> None:
    written = "\n".join(text(name) for name in DOCUMENTS if name not in GENERATED)
    for name, command in commands():
        assert re.search(rf"^{name} ", written, re.MULTILINE) or re.search(rf"^{name}$", written, re.MULTILINE), name
        assert command.help, name


def anchors(name: str) -> set[str]:
    """The names by which GitHub lets a link point at the headings of a page."""
    headings = HEADING.findall(FENCE.sub("", text(name)))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_points_at_a_file_and_a_heading_that_exist(name: str) -> None:
    for link in LINK.findall(text(name)):
        target, _, anchor = link.partition("#")
        if target.startswith("https:"):
            continue
        path = ((CHECKOUT / name).parent / target).resolve() if target else CHECKOUT / name
        assert path.exists(), link
        assert not anchor or anchor in anchors(str(path.relative_to(CHECKOUT))), link


def said() -> str:
    """Every text in the code that a message may be made of; what differs is left out, as between braces."""
    parts = []
    for folder in ("orchestrator", "llm"):
        for path in (CHECKOUT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                values = node.values if isinstance(node, ast.JoinedStr) else [node]
                parts.append("\0".join(str(one.value) for one in values if isinstance(one, ast.Constant)))
    return "\n".join(parts)


def test_every_message_that_is_explained_is_one_of_the_code() -> None:
    rows = MESSAGE.findall(text("docs/troubleshooting.md"))
    assert len(rows) > 30
    there = said()
    for message in [message for row in rows for message in re.findall(r"`([^`]+)`", row)]:
        for part in filter(None, (part.strip() for part in message.split("…"))):
            assert part in there, message


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_in_the_documents_exists(name: str) -> None:
    for path in PATH.findall(text(name)):
        assert (CHECKOUT / path).exists() or (CHECKOUT / "tests" / path).exists(), path


def test_the_table_of_frames_is_that_of_the_wire() -> None:
    sizes = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
    stated: dict[bytes, int] = {}
    for row in text("sandbox_image/README.md").splitlines():
        if cells := re.match(r"\| ((?:`.`(?:, )?)+) \| [^|]+ \| [^|]+ \| (\d+) (\w+) \|", row):
            stated |= dict.fromkeys(re.findall(rb"`(.)`", cells[1].encode()), int(cells[2]) * sizes[cells[3]])
    assert stated == wire.TO_CONTAINER | wire.FROM_SUPERVISOR | wire.FROM_PARSER


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_target_in_the_documents_exists(name: str) -> None:
    done = subprocess.run(["make", "--dry-run", "help"], cwd=CHECKOUT, capture_output=True, check=True)
    assert done.returncode == 0
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    assert {target for line in TARGETS.findall(text(name)) for target in line.split()} <= targets


@pytest.mark.parametrize("script", ["docker/setup.sh", ".ci/run"])
def test_the_scripts_are_executable_and_parse(script: str) -> None:
    assert (CHECKOUT / script).stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", script], cwd=CHECKOUT, check=False).returncode == 0
