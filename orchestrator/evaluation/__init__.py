"""A program in, a verdict out: what is sent to a container, what is heard from it, and how the host grades it."""

from __future__ import annotations

from orchestrator.evaluation.dataset import Prepared, prepare
from orchestrator.evaluation.evaluator import SandboxEvaluator
from orchestrator.evaluation.opening import open_evaluator
from orchestrator.evaluation.seam import Evaluator, Submission

__all__ = ["Evaluator", "Prepared", "SandboxEvaluator", "Submission", "open_evaluator", "prepare"]
