"""The one vocabulary of stages and terminal states."""

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
