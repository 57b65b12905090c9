"""The LLM behind the seams: generation and fine-tuning run as subprocesses that speak JSON Lines."""

from __future__ import annotations

import contextlib
import glob
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter
from tenacity import Retrying

from orchestrator.attempts import bounded
from orchestrator.errors import unwritable
from orchestrator.language_model import assets
from orchestrator.language_model.worker import worker
from orchestrator.machine import gpu_count
from orchestrator.progress import Report, silent
from orchestrator.records import (
    Adapter,
    Decoding,
    Entry,
    FinetuneJob,
    FinetuneStep,
    GenerationChunk,
    GenerationJob,
    LoraSpec,
    Message,
    ModelSpec,
    Sampled,
    SftSpec,
)

PYTHON = (sys.executable, "-P")  # the folder that a command runs in is no place to import from
GENERATE = (*PYTHON, "-m", "llm.generate", "--lifeline")
FINETUNE = (*PYTHON, "-m", "llm.finetune", "--lifeline")
LAUNCH = (*PYTHON, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1")
PAUSE = 1.0  # seconds before a job is given to a second worker; each further pause is twice as long
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class LlmGenerator:
    """Samples from the model of `model` in a worker whose stderr goes to the file `log`.

    A worker that dies is followed by up to `retries` others, each after a pause that `report` is told of.
    """

    model: ModelSpec
    decoding: Decoding
    cache: Path
    log: Path
    command: Sequence[str] = GENERATE
    retries: int = 0
    pause: float = PAUSE
    report: Report = silent

    def generate(
        self, *, adapter: Path | None, messages: Sequence[Message], chunks: Sequence[GenerationChunk]
    ) -> Iterator[Sampled]:
        """Yield the completions of each chunk as soon as all of it is there; the worker dies with the iterator.

        All rows of a chunk come from one worker: one that follows another is asked for the chunks that are missing.

        Raises:
            ConfigError: the model's source is malformed.
            InfrastructureError: the model cannot be had, or the last worker died, wrote a torn line or left rows out.
        """
        if not chunks:
            return
        job = GenerationJob(
            model=assets.model(self.model, self.cache).spec,
            adapter=None if adapter is None else str(adapter.resolve()),
            messages=tuple(messages),
            decoding=self.decoding,
            chunks=tuple(chunks),
            cache=str(self.cache.resolve()),
        )
        missing = {chunk.index: chunk for chunk in chunks}
        for attempt in attempts(retries=self.retries, pause=self.pause, report=self.report):
            with attempt:
                for rows in self._whole(job.model_copy(update={"chunks": tuple(missing.values())})):
                    del missing[rows[0].chunk]
                    yield from rows

    def _whole(self, job: GenerationJob) -> Iterator[list[Sampled]]:
        """Yield the rows of each chunk of `job` once it is whole, in the order in which one worker wrote them."""
        if not job.chunks:  # the worker before died with its work done
            return
        sizes = {chunk.index: chunk.size for chunk in job.chunks}
        torn: dict[int, dict[int, Sampled]] = {index: {} for index in sizes}
        with worker(self.command, job=job, log=self.log, threads=self.model.threads) as running:
            for line in running.lines():
                sampled = running.parse(line, SAMPLED)
                rows = torn.get(sampled.chunk)
                if rows is None or sampled.row in rows or sampled.row >= sizes[sampled.chunk]:
                    raise running.failed(f"it wrote row {sampled.row} of chunk {sampled.chunk} unasked or twice")
                rows[sampled.row] = sampled
                if len(rows) == sizes[sampled.chunk]:
                    yield list(torn.pop(sampled.chunk).values())
            running.ended()
            if torn:
                lost = sum(sizes[index] - len(rows) for index, rows in torn.items())
                raise running.failed(f"it ended with {lost} rows missing")


@dataclass(frozen=True)
class LlmTrainer:
    """Fine-tunes `model` in a worker; each optimizer step is given to `on_step` as it is done.

    With more than one NVIDIA GPU the worker is started through `accelerate launch`, one process for each. A worker
    that dies is followed by up to `retries` others, which begin anew, each after a pause that `report` is told of.
    """

    model: ModelSpec
    lora: LoraSpec
    sft: SftSpec
    cache: Path
    log: Path
    on_step: Callable[[FinetuneStep], None] | None = None
    command: Sequence[str] | None = None
    retries: int = 0
    pause: float = PAUSE
    report: Report = silent

    def train(self, *, entries: Sequence[Entry], adapter: Path | None, output: Path, seed: int) -> Adapter:
        """Train on all `entries`, from the base model or on from `adapter`; write a PEFT adapter to `output`.

        What an earlier attempt left of `output` is removed first, its scratch folders beside it too.

        Raises:
            ConfigError: the model's source is malformed.
            InfrastructureError: the model cannot be had, or the last worker died or wrote no adapter, or the disk
                refused the corpus.
        """
        asset = assets.model(self.model, self.cache)
        spec = asset.spec
        gpus = 0 if spec.device == "cpu" or self.command else gpu_count()
        command = self.command or launcher(gpus=gpus)
        for attempt in attempts(retries=self.retries, pause=self.pause, report=self.report):
            with attempt, _corpus(entries, beside=output) as corpus:
                if gpus > 1:  # the processes wait for the first of them to load the model, and not for long
                    assets.download(asset)
                job = FinetuneJob(
                    model=spec,
                    adapter=None if adapter is None else str(adapter.resolve()),
                    corpus=str(corpus.resolve()),
                    lora=self.lora,
                    sft=self.sft,
                    seed=seed,
                    output=str(output.resolve()),
                    cache=str(self.cache.resolve()),
                )
                trained = self._follow(command, job)
        return trained.model_copy(update={"base_model": self.model.source})

    def _follow(self, command: Sequence[str], job: FinetuneJob) -> Adapter:
        adapter: Adapter | None = None
        with worker(command, job=job, log=self.log, threads=self.model.threads) as running:
            for line in running.lines():
                if adapter is not None:
                    raise running.failed("it wrote on after its adapter")
                record = running.parse(line, TRAINED)
                if isinstance(record, Adapter):
                    adapter = record
                elif self.on_step is not None:
                    self.on_step(record)
            running.ended()
            if adapter is None or not (Path(job.output) / "adapter_model.safetensors").is_file():
                raise running.failed("it ended without an adapter")
        return adapter


@contextlib.contextmanager
def _corpus(entries: Sequence[Entry], *, beside: Path) -> Iterator[Path]:
    """Clear the place of `beside`, and lend a file of `entries` in a scratch folder next to it."""
    prefix = f".{beside.name}.adapter-"  # as the worker names its own scratch folder
    try:
        beside.parent.mkdir(parents=True, exist_ok=True)
        for stale in (beside, *beside.parent.glob(f"{glob.escape(prefix)}*")):
            shutil.rmtree(stale, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(dir=beside.parent, prefix=prefix))
    except OSError as error:
        raise unwritable(beside, error) from error
    try:
        corpus = scratch / "corpus.jsonl"
        try:
            corpus.write_text("".join(entry.model_dump_json() + "\n" for entry in entries), encoding="utf-8")
        except OSError as error:
            raise unwritable(corpus, error) from error
        yield corpus
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def attempts(*, retries: int, pause: float, report: Report) -> Retrying:
    """Return the attempts at one job, as `bounded` does; `report` is told why another follows, and when."""

    def say(cause: str, attempt: int, seconds: float) -> None:
        first, _, rest = cause.partition("\n")
        last = rest.strip().rpartition("\n")[2]  # of a worker's stderr: what it died of
        why = f"{first} {last}".strip()
        report(f"{why.rstrip('.')}. Attempt {attempt + 1} of {retries + 1} follows in {seconds:g} s.")

    return bounded(retries=retries, pause=pause, longest=LONGEST_PAUSE, failed=say)


SAMPLED: TypeAdapter[Sampled] = TypeAdapter(Sampled)
TRAINED: TypeAdapter[FinetuneStep | Adapter] = TypeAdapter(FinetuneStep | Adapter)


def launcher(*, gpus: int) -> Sequence[str]:
    """Return the command that starts the fine-tuning worker on so many GPUs."""
    if gpus <= 1:
        return FINETUNE
    options = ("--num_processes", str(gpus), "--mixed_precision", "no", "--dynamo_backend", "no")
    return (*LAUNCH, *options, "--module", *FINETUNE[len(PYTHON) + 1 :])
