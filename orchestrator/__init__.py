"""The trusted program, and a library: it decides, keeps the records, and never runs generated code.

The names below are looked up when they are asked for, so that `import orchestrator` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.config import Config as Config
    from orchestrator.config import load as load
    from orchestrator.corpus.folder import build_corpus as build_corpus
    from orchestrator.evaluation.programs import evaluate as evaluate
    from orchestrator.loop.running import run_cycles as run_cycles
    from orchestrator.run.reading import Run as Run
    from orchestrator.run.reading import open_run as open_run

__all__ = ["Config", "Run", "build_corpus", "evaluate", "load", "open_run", "run_cycles"]


HOMES = {  # where each name stands
    "Config": "orchestrator.config",
    "Run": "orchestrator.run.reading",
    "build_corpus": "orchestrator.corpus.folder",
    "evaluate": "orchestrator.evaluation.programs",
    "load": "orchestrator.config",
    "open_run": "orchestrator.run.reading",
    "run_cycles": "orchestrator.loop.running",
}


def __getattr__(name: str) -> Any:
    """Return one of the library's names, and import what it stands in."""
    from importlib import import_module

    if name not in HOMES:
        raise AttributeError(f"module 'orchestrator' has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
