"""What one training epoch looks like from outside, and what is odd about one.

That somebody else's process trained for exactly one epoch cannot be proved: batches are handed out once, but can be
kept and used again. What can be done is to count them, and to set the CPU time of training beside what it should cost.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.records import Execution, Reply

PASSES_PER_STEP = 3  # a training step costs about three forward passes: forward, and backward at twice its price
OUTLIER = 1.75  # thirty honest programs of one cycle lay between 0.96 and 1.25


@dataclass(frozen=True)
class Epoch:
    """How many images one pass of the training split and one pass of the validation split hold."""

    train: int
    validation: int


def training_cost(execution: Execution, epoch: Epoch) -> float | None:
    """Return the CPU time of training over that of as many honest steps, judged by the prediction stage; or None.

    Both times are the kernel's, read by the host. Honest programs lie around 1; a second hidden epoch doubles it.
    """
    cpu = execution.stage_cpu_seconds
    if "train" not in cpu or not cpu.get("predict"):
        return None
    honest = cpu["predict"] / epoch.validation * PASSES_PER_STEP * epoch.train
    return round(cpu["train"] / honest, 3)


def flags(execution: Execution, reply: Reply, epoch: Epoch) -> tuple[str, ...]:
    """Return what a person should look at; a flag decides nothing."""
    found = []
    if reply.samples is not None and reply.samples < epoch.train:
        found.append(f"consumed {reply.samples} of {epoch.train} training images")
    cost = training_cost(execution, epoch)
    if cost is not None and cost > OUTLIER:
        found.append(f"training took {cost:g} times the CPU time of one honest epoch")
    return tuple(found)
