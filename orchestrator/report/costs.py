"""What a run cost: seconds, CPU seconds and tokens by stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.records import STAGES, Adapter, CycleSummary, Verdict
from orchestrator.run.history import History

CLAIM = "claim"  # from the claim of a waiting container to its first word, before all stages


@dataclass(frozen=True)
class Cost:
    """What one stage took in all; None if it was not measured. `count` says how often, of what `unit`."""

    stage: str
    count: int
    unit: str
    seconds: float
    cpu_seconds: float | None = None
    tokens: int | None = None

    @property
    def of(self) -> str:
        """How often the stage ran, in words."""
        return f"{self.count:,} {self.unit.removesuffix('s') if self.count == 1 else self.unit}"

    def plain(self) -> dict[str, Any]:
        """Return the cost as plain data."""
        return {
            "stage": self.stage,
            "count": self.count,
            "unit": self.unit,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "tokens": self.tokens,
        }


def costs(
    summaries: Sequence[CycleSummary], histories: Sequence[History], adapters: Sequence[Adapter]
) -> tuple[Cost, ...]:
    """Return the cost of fine-tuning, generation, each stage of evaluation, and the containers as a whole.

    Stages of evaluation are on the host's clock and summed over the slots: this is work, not time that passed.
    """
    verdicts = [history.verdict for history in histories if history.verdict is not None]
    ran = [verdict for verdict in verdicts if verdict.measured.container_id is not None]
    cpu = [verdict.measured.cpu_seconds for verdict in ran if verdict.measured.cpu_seconds is not None]
    found = [
        Cost(
            stage="fine-tune",
            count=len(adapters),
            unit="adapters",
            seconds=_spent(summaries, "finetune"),
            tokens=sum(adapter.tokens for adapter in adapters),
        ),
        Cost(
            stage="generate",
            count=len(histories),
            unit="completions",
            seconds=_spent(summaries, "generate"),
            tokens=sum(history.completion.tokens for history in histories),
        ),
    ]
    found += [stage for name in (CLAIM, *STAGES) if (stage := _stage(name, verdicts)).count]
    whole = Cost(
        stage="evaluate, all stages",
        count=len(ran),
        unit="containers",
        seconds=_spent(summaries, "evaluate"),
        cpu_seconds=sum(cpu) if cpu else None,
    )
    return (*found, whole)


def _stage(name: str, verdicts: Iterable[Verdict]) -> Cost:
    measured = [verdict.measured for verdict in verdicts]
    seconds = [one.seconds[name] for one in measured if name in one.seconds]
    cpu = [one.stage_cpu_seconds[name] for one in measured if name in one.stage_cpu_seconds]
    return Cost(
        stage=f"evaluate: {name}",
        count=len(seconds),
        unit="candidates",
        seconds=sum(seconds),
        cpu_seconds=sum(cpu) if cpu else None,
    )


def _spent(summaries: Iterable[CycleSummary], kind: str) -> float:
    return sum(summary.measured.get(kind, 0.0) for summary in summaries)
