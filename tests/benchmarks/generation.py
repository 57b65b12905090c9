"""Tokens per second over 32 completions of up to 512 tokens: the project's worker, transformers' `generate`, llama.cpp.

All sides load the same model with the same prompt, decoding and threads, and are timed from the prompt to the last
token. A token counts until its row ends: at end of turn, and for the project at the closing fence. llama.cpp computes
with the file's 4-bit weights as they are, which the others unpack; it is left out where it cannot be built.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from orchestrator.config import load
from orchestrator.language_model import assets, prompts
from orchestrator.language_model.worker import environment
from orchestrator.records import GenerationChunk, GenerationJob
from tests.benchmarks import peers
from tests.benchmarks.machine import settle
from tests.benchmarks.result import Comparison, Goal, Sample
from tests.benchmarks.row import CACHE, CONFIG, Row, Samples, Sides
from tests.support.checkout import CHECKOUT

COMPLETIONS = 32
ALONE = 4  # completions that stand for 32 where each is generated alone: the rate does not depend on their number
TOKENS = 512
SIDE = "tests.benchmarks.generation_side"
LLAMA, LLAMA_SIDE = "llama-cpp-python==0.3.36", "tests.benchmarks.generation_llama"


def side(name: str, job: GenerationJob, count: int, *, binary: Path = Path(sys.executable), code: str = SIDE) -> Sample:
    """Generate in a fresh process of the module `code`; tokens per second."""
    settle()
    chunk = GenerationChunk(index=0, size=count, seed=1)
    text = job.model_copy(update={"chunks": (chunk,)}).model_dump_json()
    done = subprocess.run(
        [str(binary), "-m", code, name],
        input=text,
        cwd=CHECKOUT,
        env=environment(job.model.threads),
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    return Sample(said["tokens"] / said["seconds"], said)


@contextmanager
def sides(*, quick: bool) -> Iterator[Sides]:
    """Fetch the model; a quick trial leaves llama.cpp out, which takes minutes to build."""
    config = load(CONFIG)
    job = GenerationJob(
        model=assets.model(config.llm.model, CACHE).spec,
        adapter=None,
        messages=prompts.messages(config.prompt, config.admission, resolution=config.protocol.resolution),
        decoding=config.llm.decoding.model_copy(update={"max_new_tokens": 32 if quick else TOKENS}),
        chunks=(),
        cache=str(CACHE),
    )
    count, alone = (4, 2) if quick else (COMPLETIONS, ALONE)
    found = {
        "worker": partial(side, "worker", job, count),
        "one by one": partial(side, "one_by_one", job, alone),
        "naive batch": partial(side, "batch", job, count),
    }
    if not quick:
        try:
            binary = peers.python("llama.cpp", LLAMA)
        except click.ClickException as missing:
            click.echo(missing.format_message(), err=True)
        else:
            found["llama.cpp, one by one"] = partial(side, "one_by_one", job, alone, binary=binary, code=LLAMA_SIDE)
            found["llama.cpp, batch"] = partial(side, "batch", job, count, binary=binary, code=LLAMA_SIDE)
    yield found


def remarks(samples: Samples) -> list[str]:
    """Say how long completions were."""
    return [
        f"{name}: {details['tokens']} tokens in {details['rows']} rows, {details['seconds']:.0f} s"
        for name, details in ((name, taken[0].details) for name, taken in samples.items())
    ]


ROW = Row(
    name="generation",
    unit="tokens/s",
    rounds=1,
    code=(
        "configs/quickstart.yaml",
        "llm",
        "tests/benchmarks/generation.py",
        "tests/benchmarks/generation_side.py",
        "tests/benchmarks/generation_llama.py",
    ),
    comparisons=(
        Comparison("transformers, one by one", "worker", ("one by one",), Goal("at least", 6.0)),
        Comparison("transformers, naive batch", "worker", ("naive batch",), Goal("at least", 1.3)),
        Comparison("llama.cpp, one by one", "worker", ("llama.cpp, one by one",), Goal("reported")),
        Comparison("llama.cpp, a batch", "worker", ("llama.cpp, batch",), Goal("reported")),
    ),
    sides=sides,
    notes=(f"{ALONE} completions stand for {COMPLETIONS} where each is generated alone",),
    remarks=remarks,
)
