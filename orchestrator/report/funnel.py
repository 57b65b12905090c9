"""The state of the cycle that is being watched: how many candidates got how far, and about how long the rest takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from orchestrator.progress import Event, Guessing, Note, Pace, StageBegins
from orchestrator.records import Completion, CycleSummary, Evaluation, FinetuneStep, Novelty

UNPARSED = frozenset({"extract", "parse"})


@dataclass
class Funnel:
    """Folds events into counts; `now` is monotonic seconds wherever it is asked for."""

    threshold: float | None
    tau: float
    cycles: int
    cycle: int = 0
    stage: str = "start"
    total: int | None = None
    since: float = 0.0
    generated: int = 0
    evaluated: int = 0
    evaluated_before: int = 0
    parsed: int = 0
    above: int = 0
    novel: int = 0
    admitted: int = 0
    quarantined: int = 0
    accuracies: list[float] = field(default_factory=list)
    step: FinetuneStep | None = None
    guessing: Guessing | None = None
    pace: Pace = field(default_factory=lambda: Pace(began=0.0))

    def take(self, event: Event, *, now: float) -> None:
        """Count one event."""
        match event:
            case StageBegins():
                self._begin(event, now)
            case Completion():
                self._enter(event.cycle)
                self.generated += 1
            case Evaluation():
                self.evaluated += 1
                self.parsed += event.verdict.stage not in UNPARSED
                self.quarantined += event.verdict.state == "quarantined"
                self.pace.advance(now=now, done=self.evaluated - self.evaluated_before)
                if event.verdict.accuracy is not None:
                    self.accuracies.append(event.verdict.accuracy)
            case Novelty():
                self.above += self.threshold is not None and event.accuracy > self.threshold
                self.novel += event.is_novel(self.tau)
                self.admitted += event.decision == "admitted"
            case FinetuneStep():
                self.step = event
                self.pace.advance(now=now, done=event.step)
            case Guessing():
                self.guessing = event
            case CycleSummary() | Note():
                pass

    def left(self, *, now: float) -> float | None:
        """Return the estimated seconds that the present stage still takes; None while nothing is known."""
        if self.stage == "finetune" and self.step is not None:
            return self.pace.left(now=now, missing=self.step.steps - self.step.step)
        if self.stage == "sample" and self.total is not None:
            return self.pace.left(now=now, missing=self.total - self.evaluated)
        return None

    def pairs(self) -> Sequence[tuple[str, str]]:
        """Return what is shown in the present stage, name and text, in the order of the funnel."""
        if self.stage == "finetune":
            step = self.step
            return [("step", "-" if step is None else f"{step.step} of {step.steps}, loss {step.loss:.3f}")]
        if self.stage == "corpus":
            return []
        of_total = f" of {self.total}" if self.total is not None else ""
        shown = [
            ("generated", f"{self.generated}{of_total}"),
            ("evaluated", f"{self.evaluated}"),
            ("parsed", f"{self.parsed}"),
            ("valid", f"{len(self.accuracies)}"),
            ("above threshold", f"{self.above}"),
            ("novel", f"{self.novel}"),
            ("admitted", f"{self.admitted}"),
            ("best accuracy", f"{max(self.accuracies):.1%}" if self.accuracies else "-"),
            ("mean accuracy", f"{fmean(self.accuracies):.1%}" if self.accuracies else "-"),
        ]
        if self.guessing is not None:
            shown.append(("to compare with", self.guessing.text))
        if self.quarantined:
            shown.append(("quarantined", f"{self.quarantined}"))
        return shown

    @property
    def title(self) -> str:
        """The cycle and its stage in a few words."""
        return f"cycle {self.cycle} of {self.cycles}: {self.stage}" if self.cycle else self.stage

    def _begin(self, event: StageBegins, now: float) -> None:
        self._enter(event.cycle)
        self.stage, self.total, self.since = event.name, event.total if event.total is not None else self.total, now
        self.evaluated_before = self.evaluated
        self.pace = Pace(began=now)

    def _enter(self, cycle: int) -> None:
        if cycle != self.cycle:
            fresh = Funnel(threshold=self.threshold, tau=self.tau, cycles=self.cycles, cycle=cycle, stage=self.stage)
            fresh.guessing = self.guessing
            self.__dict__.update(fresh.__dict__)
