"""How a worker talks: one job in on stdin, records out as JSON Lines on stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import IO, TypeVar

from pydantic import ValidationError

from llm.errors import LoadError, WorkerError
from orchestrator.records import Record

LIFELINE = "--lifeline"
Job = TypeVar("Job", bound=Record)


class Output:
    """The worker's stdout, kept for records: whatever else is printed in this process goes to stderr."""

    def __init__(self) -> None:
        self._stream: IO[str] = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="\n")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def write(self, record: Record) -> None:
        """Write one record as one line, and flush it."""
        self._stream.write(record.model_dump_json() + "\n")
        self._stream.flush()


def say(text: str) -> None:
    """Write one line of prose to stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def read_job(kind: type[Job], arguments: list[str]) -> Job:
    """Return the job that stdin holds.

    With `--lifeline` the job is the first line, and this process ends when stdin is closed, so that it never
    outlives whoever started it. Without it the job is all of stdin.

    Raises:
        WorkerError: the text is no such job.
    """
    if arguments not in ([], [LIFELINE]):
        raise WorkerError(f"usage: {sys.argv[0]} [{LIFELINE}] < job.json")
    text = sys.stdin.buffer.readline() if arguments else sys.stdin.buffer.read()
    if arguments:
        threading.Thread(target=_end_with_stdin, name="lifeline", daemon=True).start()
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise WorkerError(f"stdin holds no {kind.__name__}: {error}") from error


def run(main: Callable[[list[str], Output], None]) -> None:
    """Run a worker's `main` with the command line and its output; a WorkerError becomes one line of prose.

    The exit status is then EX_CONFIG, by which the caller knows that another attempt would end the same, and 1 for a
    LoadError, as for any other failure.
    """
    try:
        main(sys.argv[1:], Output())
    except WorkerError as error:
        say(f"error: {error}")
        sys.exit(1 if isinstance(error, LoadError) else os.EX_CONFIG)


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(1)
