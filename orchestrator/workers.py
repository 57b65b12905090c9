"""The LLM behind the seams: generation and fine-tuning run as subprocesses that speak JSON Lines."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from orchestrator import assets
from orchestrator.errors import InfrastructureError
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
    Record,
    Sampled,
    SftSpec,
)

GENERATE = (sys.executable, "-m", "llm.generate", "--lifeline")
FINETUNE = (sys.executable, "-m", "llm.finetune", "--lifeline")
LAUNCH = (sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1")
GRACE = 5.0  # seconds between asking a worker to end and killing it
TAIL = 2000  # characters of a dead worker's stderr that an error quotes

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class LlmGenerator:
    """Samples from the model of `model` in a worker whose stderr goes to the file `log`."""

    model: ModelSpec
    decoding: Decoding
    cache: Path
    log: Path
    command: Sequence[str] = GENERATE

    def generate(
        self, *, adapter: Path | None, messages: Sequence[Message], chunks: Sequence[GenerationChunk]
    ) -> Iterator[Sampled]:
        """Yield every completion of every chunk as it finishes; the worker dies with the iterator.

        Raises:
            ConfigError: the model's source is malformed.
            InfrastructureError: the model cannot be had, or the worker died, wrote a torn line or left rows out.
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
        missing = {(chunk.index, row) for chunk in chunks for row in range(chunk.size)}
        with worker(self.command, job=job, log=self.log, threads=self.model.threads) as running:
            for line in running.lines():
                sampled = running.parse(line, SAMPLED)
                if (sampled.chunk, sampled.row) not in missing:
                    raise running.failed(f"it wrote row {sampled.row} of chunk {sampled.chunk} unasked or twice")
                missing.remove((sampled.chunk, sampled.row))
                yield sampled
            running.ended()
            if missing:
                raise running.failed(f"it ended with {len(missing)} rows missing")


@dataclass(frozen=True)
class LlmTrainer:
    """Fine-tunes `model` in a worker; each optimizer step is given to `on_step` as it is done.

    With more than one NVIDIA GPU the worker is started through `accelerate launch`, one process for each.
    """

    model: ModelSpec
    lora: LoraSpec
    sft: SftSpec
    cache: Path
    log: Path
    on_step: Callable[[FinetuneStep], None] | None = None
    command: Sequence[str] | None = None

    def train(self, *, entries: Sequence[Entry], adapter: Path | None, output: Path, seed: int) -> Adapter:
        """Train on all `entries`, from the base model or on from `adapter`; write a PEFT adapter to `output`.

        Raises:
            ConfigError: the model's source is malformed.
            InfrastructureError: the model cannot be had, or the worker died or wrote no adapter.
        """
        spec = assets.model(self.model, self.cache).spec
        command = self.command or launcher(gpus=0 if spec.device == "cpu" else gpu_count())
        with tempfile.TemporaryDirectory(prefix="corpus-") as scratch:
            corpus = Path(scratch) / "corpus.jsonl"
            corpus.write_text("".join(entry.model_dump_json() + "\n" for entry in entries), encoding="utf-8")
            job = FinetuneJob(
                model=spec,
                adapter=None if adapter is None else str(adapter.resolve()),
                corpus=str(corpus),
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


SAMPLED: TypeAdapter[Sampled] = TypeAdapter(Sampled)
TRAINED: TypeAdapter[FinetuneStep | Adapter] = TypeAdapter(FinetuneStep | Adapter)


@dataclass(frozen=True)
class Worker:
    """A running subprocess that was sent one job and answers with one JSON record a line."""

    process: subprocess.Popen[bytes]
    command: Sequence[str]
    log: Path
    log_start: int

    def lines(self) -> Iterator[bytes]:
        """Yield each whole line of the worker's stdout.

        Raises:
            InfrastructureError: the last line is torn.
        """
        for line in _pipe(self.process.stdout):
            if not line.endswith(b"\n"):
                raise self.failed("its last line is torn")
            yield line

    def parse(self, line: bytes, kind: TypeAdapter[Kind]) -> Kind:
        """Return the record in `line`, or raise InfrastructureError."""
        try:
            return kind.validate_json(line)
        except ValidationError as error:
            raise self.failed(f"it wrote {line[:200]!r}, which is no record of this protocol ({error})") from error

    def ended(self) -> None:
        """Wait for the worker's end, which its closed stdout announces; raise InfrastructureError if it failed."""
        status = self.process.wait()
        if status:
            reason = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
            raise self.failed(f"it died with {reason}")

    def failed(self, what: str) -> InfrastructureError:
        """Return the error for a worker that did not keep to its protocol, with the end of its stderr."""
        self.stop()
        with self.log.open("rb") as stream:
            stream.seek(self.log_start)
            tail = stream.read().decode("utf-8", "replace").strip()[-TAIL:]
        name = " ".join(part for part in self.command if part.startswith("llm.")) or self.command[-1]
        return InfrastructureError(f"the worker {name} failed: {what}. Its stderr is in {self.log} and ends:\n{tail}")

    def stop(self) -> None:
        """End the worker and all that it started; a worker that has ended is left alone."""
        if self.process.poll() is not None:
            return
        for order in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, order)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=GRACE)
                return


@contextlib.contextmanager
def worker(command: Sequence[str], *, job: Record, log: Path, threads: int | None) -> Iterator[Worker]:
    """Start `command` in its own process group, send it `job` as one line, and end it on the way out.

    Its stdin stays open for as long as it should live: a worker that was given `--lifeline` ends by itself when this
    process dies, whatever killed it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        start = stream.tell()
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                env=environment(threads),
                process_group=0,
            )
        except OSError as error:
            raise InfrastructureError(f"the worker {command[0]} cannot be started: {error}") from error
    running = Worker(process=process, command=command, log=log, log_start=start)
    try:
        with contextlib.suppress(BrokenPipeError):  # it died at once: its exit status says more
            stdin = _pipe(process.stdin)
            stdin.write(job.model_dump_json().encode() + b"\n")
            stdin.flush()
        yield running
    finally:
        running.stop()
        with contextlib.suppress(BrokenPipeError):
            _pipe(process.stdin).close()
        _pipe(process.stdout).close()


def environment(threads: int | None) -> dict[str, str]:
    """Return the worker's environment: ours, with what would make equal jobs differ held fixed."""
    fixed = {"PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    return dict(os.environ) | fixed | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})


def launcher(*, gpus: int) -> Sequence[str]:
    """Return the command that starts the fine-tuning worker on so many GPUs."""
    if gpus <= 1:
        return FINETUNE
    options = ("--num_processes", str(gpus), "--mixed_precision", "no", "--dynamo_backend", "no")
    return (*LAUNCH, *options, "--module", *FINETUNE[2:])


def gpu_count(*, driver: Path = Path("/proc/driver/nvidia/gpus")) -> int:
    """Return how many NVIDIA GPUs a worker would see, without loading CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([part for part in visible.split(",") if part.strip() not in ("", "-1")])
    return len(list(driver.iterdir())) if driver.is_dir() else 0


def _pipe(stream: IO[bytes] | None) -> IO[Any]:
    if stream is None:
        raise InfrastructureError("the worker was started without its pipes")
    return stream
