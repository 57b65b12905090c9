"""Every command that the README and docs/ show works, in the order of the page, on a real and finished run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT

pytestmark = [pytest.mark.docker, pytest.mark.llm]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = ("README.md", *(f"docs/{path.name}" for path in sorted((CHECKOUT / "docs").glob("*.md"))))
GPU = "needs a GPU, the internet and the image for it"
NOT_RUN = {  # commands that are not run here, by how they begin, and why
    "orchestrate cycle --config paper-cifar10": GPU,
    "orchestrate corpus build --config paper-cifar10 --out clean": GPU,
    "orchestrate data prepare --config paper-cifar10": "fetches CIFAR-10 from the internet",
    "orchestrate image build": "would replace the image that other tests run on, if the code has changed",
    "orchestrate doctor": "takes minutes, and test_doctor.py does it",
}
MODEL = ("cycle", "generate", "finetune")  # commands that use the language model: with the tutorial's configuration
SETTINGS = (  # a run that has ended, not a good one
    "budget.candidates=3",
    "budget.chunk=3",
    "corpus.entries=2",
    "llm.sft.epochs=1",
    "llm.decoding.max_new_tokens=48",
)
SMALL = tuple(word for setting in SETTINGS for word in ("--set", setting))
ALONE = ("evaluate",)  # commands that look at no run: once is enough, whatever page shows them


def fenced(page: str) -> Iterator[tuple[str, str]]:
    """Yield each line of the page's command blocks, and each block of Python."""
    for language, block in FENCE.findall((CHECKOUT / page).read_text(encoding="utf-8")):
        if language == "python":
            yield language, block
        elif not language:
            yield from (("", line) for line in block.splitlines() if line.startswith("orchestrate "))


def not_run(line: str) -> bool:
    return any(line.startswith(start) for start in NOT_RUN)


SHOWN = [page for page in PAGES if any(not not_run(text) for _, text in fenced(page))]


def orchestrate(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return python("-m", "orchestrator", *arguments, home=home)


def python(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-P", *arguments]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=1500)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small run that has ended."""
    home = tmp_path_factory.mktemp("home")
    done = orchestrate("cycle", "--config", "tour", *SMALL, home=home)
    assert done.returncode == 0, done.stderr[-3000:]
    return home / "runs" / "tour"


@pytest.fixture(scope="module")
def seen() -> set[str]:
    """Commands that were run for an earlier page and need no second time."""
    return set()


@pytest.fixture
def home(run: Path, tmp_path: Path) -> Path:
    """A folder as a reader's checkout is, with the run under the names that pages give it."""
    for name in ("configs", "docs"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    for name in ("quickstart", "tour"):
        shutil.copytree(run, tmp_path / "runs" / name)
    return tmp_path


def words(line: str) -> list[str]:
    """The words of a command; one that uses the language model does so with the small configuration."""
    found = shlex.split(line)[1:]
    if found[0] not in MODEL:
        return found
    place = found.index("--config") + 1
    name, found[place] = found[place], "tour"
    if found[0] == "cycle" and "--run" not in found:
        found += ["--run", name]
    return [*found, *SMALL]


def ran(language: str, text: str, home: Path) -> subprocess.CompletedProcess[str]:
    return python("-c", text, home=home) if language else orchestrate(*words(text), home=home)


@pytest.mark.parametrize("page", SHOWN)
def test_every_command_of_a_page_does_what_it_should(page: str, home: Path, seen: set[str]) -> None:
    for language, text in fenced(page):
        if not_run(text) or text in seen:
            continue
        done = ran(language, text, home)
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        if not language and words(text)[0] in ALONE:
            seen.add(text)


def test_every_command_that_is_not_run_is_shown_somewhere() -> None:
    lines = [text for page in PAGES for _, text in fenced(page)]
    for start in NOT_RUN:
        assert any(line.startswith(start) for line in lines), start
