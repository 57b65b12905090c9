"""What people are shown of runs: the live view, the report's numbers, tables, figures and pages."""

from __future__ import annotations

from orchestrator.report.console import Cycles, View
from orchestrator.report.writing import write

__all__ = ["Cycles", "View", "write"]
