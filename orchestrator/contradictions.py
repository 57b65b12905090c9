"""What in a configuration contradicts something else in it, though each value by itself is right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.config import Config


def contradictions(config: Config) -> Iterator[str]:
    """Yield what cannot have been meant, as text; runs that froze such a thing stay readable."""
    admission, budget = config.admission, config.budget
    if admission.enforce_budget and admission.parameter_budget is None:
        yield "admission.enforce_budget needs admission.parameter_budget, how many are allowed"
    if admission.threshold is not None and admission.reported_threshold is not None:
        yield "admission.reported_threshold counts only where admission.threshold is null: leave it out"
    if admission.threshold is None and admission.reported_threshold is None and config.stop.enabled:
        yield "stop.enabled needs a share above a threshold: give admission.threshold or admission.reported_threshold"
    if budget.dynamic_from is not None and budget.cap < budget.admitted:
        yield f"budget.cap is {budget.cap}, so that budget.admitted, {budget.admitted}, is never reached: raise the cap"
