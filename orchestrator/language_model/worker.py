"""One worker of the LLM: a subprocess that is sent one job and answers in JSON Lines, and never outlives its caller."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from orchestrator.errors import InfrastructureError, RefusedJobError
from orchestrator.records import Record

GRACE = 5.0  # seconds between asking a worker to end and killing it
TAIL = 2000  # characters of a dead worker's stderr that an error quotes

Kind = TypeVar("Kind")


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
        """Wait for the worker's end, which its closed stdout announces.

        Raises:
            RefusedJobError: it ended with EX_CONFIG: it cannot do this job, whoever tries.
            InfrastructureError: it failed otherwise.
        """
        status = self._wait()
        if status == os.EX_CONFIG:
            raise RefusedJobError(self._ending("it refused its job"))
        if status:
            reason = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
            raise self.failed(f"it died with {reason}")

    def failed(self, what: str) -> InfrastructureError:
        """Return the error for a worker that did not keep to its protocol, with the end of its stderr."""
        self.stop()
        return InfrastructureError(self._ending(what))

    def stop(self) -> None:
        """End the worker and all that it started; a worker whose end was waited for is left alone."""
        if self.process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        descriptor = os.pidfd_open(self.process.pid)
        try:
            select.select([descriptor], [], [], GRACE)
        finally:
            os.close(descriptor)
        self._signal(signal.SIGKILL)
        self._wait()

    def _ending(self, what: str) -> str:
        with self.log.open("rb") as stream:
            stream.seek(self.log_start)
            tail = stream.read().decode("utf-8", "replace").strip()[-TAIL:]
        name = " ".join(part for part in self.command if part.startswith("llm.")) or self.command[-1]
        return f"the worker {name} failed: {what}. Its stderr is in {self.log} and ends:\n{tail}"

    def _wait(self) -> int:
        """Wait for the worker's end, then end what it left running: until it is reaped, nobody else has its group."""
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        self._signal(signal.SIGKILL)
        return self.process.wait()

    def _signal(self, order: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, order)


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


def _pipe(stream: IO[bytes] | None) -> IO[Any]:
    if stream is None:
        raise InfrastructureError("the worker was started without its pipes")
    return stream
