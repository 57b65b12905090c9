"""Curation of all of LEMUR: `orchestrate corpus build` against nn-dup, and against a chain written plainly.

nn-dup is the authors' own: it keeps up to five members of a family, and compares every program where we first drop
those whose hyperparameters differ. Unpacking its data base, which it does once, is not part of its time. The plain
chain takes our stages in our order with ast, tokenize and datasketch.
"""

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

from orchestrator.config import Config, load
from orchestrator.language_model import assets
from tests.benchmarks import peers
from tests.benchmarks.machine import settle
from tests.benchmarks.result import Comparison, Goal, Sample
from tests.benchmarks.row import CACHE, WORK, Row, Samples, Sides
from tests.support.checkout import CHECKOUT

PAPER = CHECKOUT / "configs" / "paper-cifar10.yaml"
SANDBOX = (  # the paper's configuration, on a machine without a GPU
    "sandbox.image=nn-sandbox:cpu",
    "sandbox.variant=cpu",
    "sandbox.gpus=[]",
    "sandbox.limits.cpus=1",
    "sandbox.limits.memory=3221225472",
)
NN_DUP = ("nn-dup==2.2.4", "nn-dataset==2.1.2")
NEEDS = ("pandas<3", "radon~=6.0", "optuna", "flake8~=7.1", "flake8-json", "pylint~=3.3", "scikit-learn")  # its imports


def build(folder: Path) -> Sample:
    """Run the project's own command with a cache that holds the wheel and nothing else; seconds."""
    settle()
    out = Path(folder) / str(time.monotonic_ns())
    cache = out / "cache"
    (cache / "wheels").mkdir(parents=True)
    wheel = assets.wheel(load(PAPER).corpus.lemur, CACHE)
    (cache / "wheels" / wheel.name).symlink_to(wheel)
    command = [sys.executable, "-m", "orchestrator", "corpus", "build", "--config", str(PAPER)]
    command += [part for override in SANDBOX for part in ("--set", override)]
    began = time.monotonic()
    subprocess.run(
        [*command, "--cache", str(cache), "--out", str(out)], cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL
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
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return Sample(time.monotonic() - began, json.loads(done.stdout.splitlines()[-1]))


def nn_dup(binary: Path) -> Sample:
    """Run the two stages of nn-dup; seconds."""
    folder = WORK / "nn-dup"
    folder.mkdir(parents=True, exist_ok=True)
    run = partial(subprocess.run, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run([str(binary), "-c", "import ab.nn.api"])
    settle()
    with TemporaryDirectory(dir=folder) as out:
        began = time.monotonic()
        run([str(binary), "-m", "ab.dup.main", "--out", out])
        deduplicated = time.monotonic()
        accepted = f"{out}/accepted_code"
        run([str(binary), "-m", "ab.chatprep.cli.main", "--accepted-dir", accepted, "--out", f"{out}/chat"])
        ended = time.monotonic()
        kept = len(list(Path(accepted).rglob("*.py")))
    return Sample(ended - began, {"kept": kept, "deduplication": deduplicated - began})


@contextmanager
def sides(*, quick: bool) -> Iterator[Sides]:
    """Fetch the wheel; a quick trial lets the plain chain see 200 programs, and leaves nn-dup out."""
    config = load(PAPER)
    limit = 200 if quick else None
    with TemporaryDirectory() as folder:
        found = {"corpus build": partial(build, Path(folder)), "plain": partial(plain, config, limit)}
        if not quick:
            found["nn-dup"] = partial(nn_dup, peers.python("nn-dup", *NEEDS, alone=NN_DUP))
        yield found


def remarks(samples: Samples) -> list[str]:
    """Say what each side kept."""
    found = [f"{samples['corpus build'][0].details['pairs']} pairs"]
    for name in samples.keys() - {"corpus build"}:
        kept = samples[name][0].details.items()
        found.append(f"{name}: " + ", ".join(f"{key} {value:.6g}" for key, value in kept))
    return found


ROW = Row(
    name="curation",
    unit="s",
    rounds=1,
    code=("orchestrator", "sandbox_image", "tests/benchmarks/curation.py", "tests/benchmarks/curation_side.py"),
    comparisons=(
        Comparison("nn-dup's stages", "corpus build", ("nn-dup",), Goal("at least", 8.0)),
        Comparison(
            "our stages but that of length, plainly written with datasketch",
            "corpus build",
            ("plain",),
            Goal("reported"),
        ),
    ),
    sides=sides,
    notes=(
        "cold: no cached inspection; hostile text is parsed in containers on our side, in the process on the other",
    ),
    remarks=remarks,
)
