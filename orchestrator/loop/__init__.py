"""Fine-tune, generate, evaluate, decide, and again: the cycles of one run."""

from __future__ import annotations

from orchestrator.loop.cycle import Loop, Parts

__all__ = ["Loop", "Parts"]
