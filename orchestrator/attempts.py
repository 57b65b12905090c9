"""Attempts at what the infrastructure may fail, a growing pause apart."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_attempt,
    stop_any,
    stop_when_event_set,
    wait_exponential,
)

from orchestrator.errors import FinalError, InfrastructureError

Failed = Callable[[str, int, float], None]


def unsaid(cause: str, attempt: int, pause: float) -> None:
    """Keep it to ourselves that an attempt failed."""
    del cause, attempt, pause


def bounded(
    *,
    retries: int,
    pause: float,
    longest: float,
    failed: Failed = unsaid,
    called_off: threading.Event | None = None,
) -> Retrying:
    """Return the attempts at one thing: one, and after each InfrastructureError another, `retries` at the most.

    None follows a FinalError, nor anything once `called_off` is set. Before the second lie `pause` seconds, then twice
    as long each time, up to `longest`. Each time `failed` is told why, the number of the attempt that failed, and how
    long the pause will be. In the end the last error is raised.
    """

    def say(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        failed(str(error), state.attempt_number, state.upcoming_sleep)

    return Retrying(
        retry=retry_if_exception_type(InfrastructureError) & retry_if_not_exception_type(FinalError),
        stop=stop_any(stop_after_attempt(1 + retries), stop_when_event_set(called_off or threading.Event())),
        wait=wait_exponential(multiplier=pause, max=longest),
        before_sleep=say,
        reraise=True,
    )
