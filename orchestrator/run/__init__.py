"""What a run has written, and whether it still holds: folder, ledgers, store, journal, verification and queries."""

from __future__ import annotations

from orchestrator.run.folder import CycleFolder, RunFolder
from orchestrator.run.journal import Journal
from orchestrator.run.ledger import Ledger, run_lock
from orchestrator.run.store import Store

__all__ = ["CycleFolder", "Journal", "Ledger", "RunFolder", "Store", "run_lock"]
