"""Takes the pictures in docs/images/ of real commands on a real terminal: `python -m tests.docs.pictures`.

`evaluate.svg` shows the four programs of docs/examples/, `cycle.svg` a cycle of a few candidates while it evaluates
them, `accuracy.png` a figure about the study of results/cpu-study/, `report.png` the page about it. They need what the
quickstart needs, and Chromium.
Nothing is drawn by hand: a picture shows what a pseudo-terminal or the browser was given.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import termios
from collections.abc import Callable, Sequence
from fcntl import ioctl
from io import StringIO
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from tests.support.checkout import CHECKOUT

IMAGES = CHECKOUT / "docs" / "images"
ORCHESTRATE = (sys.executable, "-P", "-m", "orchestrator")
WIDTH, HEIGHT = 112, 40
CONTROL = re.compile(r"\x1b\[([\d;]*)([A-Za-z])|\x1b\[\?\d+[hl]|[\r\n]|[^\x1b\r\n]+")
STUDY = ("cpu-study", "cpu-study-no-novelty", "cpu-study-no-threshold", "cpu-study-no-iteration", "cpu-study-corpus")
PAGE = (1280, 1500)  # pixels
BROWSER = """chromium --headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update
 --disable-sync --hide-scrollbars"""


class Screen:
    """As much of a terminal as rich writes to: lines, colours, and the cursor that goes up to write a line anew."""

    def __init__(self) -> None:
        self.lines = [""]
        self._row = 0

    def feed(self, text: str) -> None:
        """Take what a program wrote."""
        for part in CONTROL.finditer(text):
            count, letter = part.group(1), part.group(2)
            if part.group() == "\n":
                self._row += 1
                self.lines += [""] * (self._row + 1 - len(self.lines))
            elif letter == "A":
                self._row = max(0, self._row - int(count or 1))
            elif letter == "K":
                self.lines[self._row] = ""
            elif letter == "m" or (letter is None and part.group()[0] not in "\x1b\r"):
                self.lines[self._row] += part.group()

    @property
    def text(self) -> str:
        """What is to be seen, without colours."""
        return re.sub(r"\x1b\[[\d;]*m", "", "\n".join(self.lines))


def shown(command: Sequence[str], *, wanted: Callable[[str], bool] = bool) -> Screen:
    """Run `orchestrate` with `command` on a terminal, and return the last screen whose text is `wanted`."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(WIDTH), "LINES": str(HEIGHT)}
    process = subprocess.Popen([*ORCHESTRATE, *command], stdout=theirs, stderr=theirs, stdin=theirs,
                               cwd=CHECKOUT, env=environment)  # fmt: skip
    os.close(theirs)
    screen, kept = Screen(), Screen()
    while chunk := _read(ours):
        screen.feed(chunk.decode("utf-8", "replace"))
        if wanted(screen.text):
            kept.lines = list(screen.lines)
    os.close(ours)
    assert process.wait() == 0, screen.text
    return kept


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # the other end of a pseudo-terminal was closed
        return b""


def save(screen: Screen, command: str, name: str) -> None:
    """Write a picture of `screen` below the command that filled it."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "green"), (command, "bold")), soft_wrap=True)
    console.print(Text.from_ansi("\n".join(screen.lines).rstrip()), soft_wrap=True)
    svg = console.export_svg(title="orchestrate", unique_id=name)
    (IMAGES / f"{name}.svg").write_text("".join(f"{line.rstrip()}\n" for line in svg.splitlines()), encoding="utf-8")


def evaluate() -> None:
    """Picture the verdicts on the examples."""
    files = sorted(str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "docs" / "examples").glob("*.py"))
    screen = shown(("evaluate", *files, "--set", "sandbox.deadlines.train=20"))
    save(screen, "orchestrate evaluate docs/examples/*.py --set sandbox.deadlines.train=20", "evaluate")


def cycle() -> None:
    """Picture the tutorial's cycle while it evaluates its candidates."""
    with tempfile.TemporaryDirectory() as runs:
        command = ("cycle", "--config", "tour", "--runs", runs)
        screen = shown(command, wanted=lambda text: bool(re.search(r"evaluated\W+[4-7]\b", text)))
    save(screen, "orchestrate cycle --config tour", "cycle")


def reported(names: Sequence[str], folder: Path) -> Path:
    """Report on runs of the study, and return the report's folder."""
    runs, out = folder / "runs", folder / "report"
    for name in names:
        with tarfile.open(CHECKOUT / "results" / "cpu-study" / f"{name}.tar.xz") as archive:
            archive.extractall(runs, filter="data")
    shown(("report", *names, "--runs", str(runs), "--out", str(out)))
    return out


def accuracy() -> None:
    """Take the report's figure of accuracy, of the study and of the same without iteration."""
    with tempfile.TemporaryDirectory() as folder:
        out = reported(("cpu-study", "cpu-study-no-iteration"), Path(folder))
        shutil.copy(out / "figures" / "accuracy.png", IMAGES / "accuracy.png")


def report() -> None:
    """Picture the page about the study."""
    with tempfile.TemporaryDirectory() as folder:
        out, picture = reported(STUDY, Path(folder)), IMAGES / "report.png"
        size = f"--window-size={PAGE[0]},{PAGE[1]}"
        profile = f"--user-data-dir={Path(folder, 'profile')}"
        subprocess.run([*BROWSER.split(), size, profile, f"--screenshot={picture}", (out / "report.html").as_uri()],
                       check=True, capture_output=True)  # fmt: skip


PICTURES = {"evaluate": evaluate, "cycle": cycle, "accuracy": accuracy, "report": report}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(PICTURES)))
def main(names: tuple[str, ...]) -> None:
    """Take the pictures NAMES, or all."""
    IMAGES.mkdir(exist_ok=True)
    for name in names or PICTURES:
        PICTURES[name]()
        click.echo(f"written: docs/images/{name}")


if __name__ == "__main__":
    main()
