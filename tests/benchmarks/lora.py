"""LoRA on 32 corpus pairs, tokens per second: the project's worker against TRL's SFTTrainer.

Both sides have the same model, pairs in the same order, ranks, learning rates, threads, and the loss over the
assistant's tokens only. Loading is not part of the time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import TypeAdapter

from orchestrator.config import load
from orchestrator.corpus.build import curate
from orchestrator.corpus.stages import entries
from orchestrator.language_model import assets
from orchestrator.language_model.worker import environment
from orchestrator.records import Adapter, FinetuneJob, FinetuneStep
from orchestrator.run import Store
from tests.benchmarks import peers
from tests.benchmarks.machine import settle
from tests.benchmarks.result import Comparison, Goal, Sample
from tests.benchmarks.row import CACHE, CONFIG, WORK, Row, Samples, Sides, laid_out
from tests.support.checkout import CHECKOUT

PAIRS = 32
TRL = "trl==1.16.0"
WIDER = ("corpus.min_accuracy=0.3", f"corpus.entries={PAIRS}")  # the quickstart's own corpus has 25 pairs
NOISE = 0.02  # of the loss
SAID: TypeAdapter[FinetuneStep | Adapter] = TypeAdapter(FinetuneStep | Adapter)


def pairs() -> Path:
    """Return a corpus of 32 pairs, built once."""
    path = laid_out(f"pairs-{PAIRS}.jsonl")
    if not path.is_file():
        config = load(CONFIG, WIDER)
        made = list(entries(config, curate(config, cache=CACHE), Store(WORK / "objects")))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(entry.model_dump_json() + "\n" for entry in made), encoding="utf-8")
    return path


def worker(job: FinetuneJob) -> Sample:
    """Fine-tune in the project's worker."""
    settle()
    spoken = talk([sys.executable, "-m", "llm.finetune"], job)
    steps = [step for step in map(SAID.validate_json, spoken) if isinstance(step, FinetuneStep)]
    losses, learnt = [step.loss for step in steps], sum(step.tokens for step in steps)
    return Sample(learnt / steps[-1].seconds, {"seconds": steps[-1].seconds, "losses": losses, "learnt": learnt})


def trl(binary: Path, job: FinetuneJob) -> Sample:
    """Fine-tune with TRL."""
    settle()
    said = json.loads(talk([str(binary), "-m", "tests.benchmarks.lora_side"], job)[-1])
    return Sample(said["learnt"] / said["seconds"], said)


def talk(command: list[str], job: FinetuneJob) -> list[str]:
    """Send the job to a process, and return the lines that it prints."""
    with TemporaryDirectory() as folder:
        sent = job.model_copy(update={"output": str(Path(folder) / "adapter")}).model_dump_json()
        done = subprocess.run(
            command,
            input=sent,
            cwd=CHECKOUT,
            env=environment(job.model.threads),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return done.stdout.splitlines()


@contextmanager
def sides(*, quick: bool) -> Iterator[Sides]:
    """Build the pairs, and install TRL."""
    config = load(CONFIG)
    binary = peers.python("trl", TRL)
    corpus = pairs()
    if quick:
        few = WORK / "pairs-quick.jsonl"
        few.write_text("".join(corpus.read_text(encoding="utf-8").splitlines(keepends=True)[:4]), encoding="utf-8")
        corpus = few
    job = FinetuneJob(
        model=assets.model(config.llm.model, CACHE).spec,
        adapter=None,
        corpus=str(corpus),
        lora=config.llm.lora,
        sft=config.llm.sft.model_copy(update={"epochs": 1}),
        seed=0,
        output="",
        cache=str(CACHE),
    )
    yield {"worker": partial(worker, job), "TRL": partial(trl, binary, job)}


def remarks(samples: Samples) -> list[str]:
    """Say how far the loss curves of the two sides are apart."""
    ours, theirs = samples["worker"][0].details["losses"], samples["TRL"][0].details["losses"]
    apart = [abs(one - other) / other for one, other in zip(ours, theirs, strict=True)]
    same = "the same" if max(apart) <= NOISE else "NOT the same"
    learnt = {sample.details["learnt"] for taken in samples.values() for sample in taken}
    return [
        f"{TRL}; tokens are the assistant's, {sorted(learnt)} on the sides",
        f"loss curves are {same} within {NOISE:.0%}: at most {max(apart):.1%} apart",
        f"first losses {ours[0]:.4f} and {theirs[0]:.4f}, last {ours[-1]:.4f} and {theirs[-1]:.4f}",
    ]


ROW = Row(
    name="lora",
    unit="tokens/s",
    rounds=1,
    code=("configs/quickstart.yaml", "llm", "tests/benchmarks/lora.py", "tests/benchmarks/lora_side.py"),
    comparisons=(Comparison("TRL's SFTTrainer", "worker", ("TRL",), Goal("at least", 1.2)),),
    sides=sides,
    remarks=remarks,
)
