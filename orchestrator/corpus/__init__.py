"""Which programs the language model learns from: LEMUR's, curated stage by stage, and no near-duplicates."""

from __future__ import annotations

from orchestrator.corpus.novelty import Index

__all__ = ["Index"]
