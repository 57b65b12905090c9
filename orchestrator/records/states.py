"""The one vocabulary of stages and terminal states.

A candidate fails in one of `FailedState`, or is valid, and then `below_threshold`, `duplicate` or `admitted`. One that
is `surplus` is valid, too, and came when its cycle had all that it admits: it counts in every rate, and nothing is
decided about it. `quarantined` ones, on which the infrastructure failed, are in no rate.
"""

from __future__ import annotations

from typing import Literal

STAGES: tuple[Stage, ...] = ("extract", "parse", "contract", "import", "instantiate", "forward", "train", "predict")
Stage = Literal["extract", "parse", "contract", "import", "instantiate", "forward", "train", "predict"]

FailedState = Literal[
    "no_code",
    "syntax_error",
    "contract",
    "failed",
    "timeout",
    "out_of_memory",
    "gpu_out_of_memory",
    "killed",
    "over_budget",
    "quarantined",
]
VerdictState = Literal[FailedState, "passed"]
Decision = Literal["below_threshold", "duplicate", "admitted", "surplus"]
