"""How often something is tried again if the infrastructure fails a candidate, and when the candidate is at fault."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from orchestrator.attempts import bounded
from orchestrator.errors import InfrastructureError, NoSlotError
from orchestrator.escape import plain
from orchestrator.evaluation.dossier import Dossier

PAUSE = 0.5  # seconds before a second attempt; each further pause is twice as long
LONGEST_PAUSE = 8.0

T = TypeVar("T")


class QuarantineError(Exception):
    """The infrastructure failed each attempt at this candidate, and was sound before the last one and after it."""


@dataclass(frozen=True)
class Attempts:
    """Attempts at something for one candidate, `retries` more of them after a failure, each noted in its dossier.

    `prove` raises InfrastructureError if no container can be started now.
    """

    retries: int
    prove: Callable[[], None]
    pause: float = PAUSE
    _called_off: threading.Event = field(default_factory=threading.Event)

    def call_off(self) -> None:
        """Let no attempt follow another, and hold nothing against a candidate any more; from any thread."""
        self._called_off.set()

    @property
    def called_off(self) -> bool:
        """Whether nobody waits for what is being tried."""
        return self._called_off.is_set()

    def called_off_within(self, seconds: float) -> bool:
        """Wait so long at most for nobody to wait any more, and say whether that is so."""
        return self._called_off.wait(seconds)

    def of(self, dossier: Dossier, work: Callable[[], T]) -> T:
        """Return what `work` returns, tried within bounds.

        Raises:
            InfrastructureError: the last attempt's.
        """
        attempts = bounded(
            retries=self.retries,
            pause=self.pause,
            longest=LONGEST_PAUSE,
            failed=lambda cause, attempt, _: dossier.note("retry", {"attempt": attempt, "cause": plain(cause)}),
            called_off=self._called_off,
        )
        return attempts(work)

    def to_the_last(self, dossier: Dossier, work: Callable[[], T]) -> T:
        """Do as `of` does, and past the bounds find out whose fault it is, by one more attempt between two proofs.

        An engine that was started again, or went away for a while, is nothing to hold against a candidate.

        Raises:
            InfrastructureError: no container can be started, or the evaluation was called off.
            QuarantineError: containers can be started, and this candidate's alone failed.
        """
        try:
            return self.of(dossier, work)
        except NoSlotError:
            raise
        except InfrastructureError:
            self._sound()
        try:
            return work()
        except NoSlotError:
            raise
        except InfrastructureError as error:
            self._sound()
            raise QuarantineError(str(error)) from error

    def _sound(self) -> None:
        if self.called_off:
            raise InfrastructureError("the evaluation was called off")
        self.prove()
