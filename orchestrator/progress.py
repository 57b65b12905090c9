"""What the loop tells whoever watches it: the records themselves as they appear, and a few words about the stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from orchestrator.records import Completion, CycleSummary, Evaluation, FinetuneStep, Novelty

StageName = Literal["corpus", "finetune", "sample", "append", "summarise"]


@dataclass(frozen=True)
class StageBegins:
    """A stage of a cycle begins; `total` is how many candidates it is about, if that is known."""

    cycle: int
    name: StageName
    total: int | None = None


@dataclass(frozen=True)
class Guessing:
    """What every accuracy of a run is to be compared with: that of guessing, and of naming the most frequent class."""

    chance: float
    majority: float

    @property
    def text(self) -> str:
        """Both in words."""
        return f"chance {self.chance:.1%}, majority class {self.majority:.1%}"

    def plain(self) -> dict[str, float]:
        """Return both as they stand in JSON."""
        return {"chance": self.chance, "majority": self.majority}


@dataclass(frozen=True)
class Note:
    """One sentence for the person who watches."""

    text: str


Event: TypeAlias = StageBegins | Guessing | Note | Completion | Evaluation | Novelty | FinetuneStep | CycleSummary
Observer: TypeAlias = Callable[[Event], None]


def unobserved(event: Event) -> None:
    """Take an event and show it to nobody."""


def duration(seconds: float | None) -> str:
    """Return seconds as a person reads them; a dash if they are not known."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def left_after(elapsed: float, left: float | None) -> str:
    """Return in words how long something has taken, and about how much longer it takes, if that is known."""
    rest = "" if left is None else f", about {duration(left)} left"
    return f"elapsed {duration(elapsed)}{rest}"


@dataclass
class Pace:
    """About how long the rest takes, in seconds; an estimate shrinks until another step is done, and never grows."""

    began: float
    done: int = 0
    last: float = 0.0

    def advance(self, *, now: float, done: int) -> None:
        """Note that so many steps are done in all; `now` is on the clock of `began`."""
        if done != self.done:
            self.done, self.last = done, now

    def left(self, *, now: float, missing: int) -> float | None:
        """Return how long the `missing` steps take, at the pace of those that are done; None before the first."""
        estimate = time_left(self.last - self.began, done=self.done, missing=missing)
        return None if estimate is None else max(0.0, estimate - (now - self.last))


def time_left(elapsed: float, *, done: int, missing: int) -> float | None:
    """Return how many seconds the missing ones take at the pace of those done so far; None before the first."""
    return elapsed / done * max(0, missing) if done > 0 else None


Report = Callable[[str], None]


def silent(message: str) -> None:
    """Take a message and show it to nobody."""
