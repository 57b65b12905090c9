"""What the small jobs of workers in tests have in common."""

from __future__ import annotations

from orchestrator.records import Message, ModelSpec

MODEL = ModelSpec(source="organisation/tiny", dtype="float32", device="cpu", threads=1)
MESSAGES = (Message(role="user", content="Write a network."),)
