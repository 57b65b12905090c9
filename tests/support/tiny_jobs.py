"""What the small jobs of workers in tests have in common."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from orchestrator.language_model import local
from orchestrator.records import Decoding, GenerationChunk, Message, ModelSpec

MODEL = ModelSpec(source="organisation/tiny", dtype="float32", device="cpu", threads=1)
MESSAGES = (Message(role="user", content="Write a network."),)
CHUNKS = (GenerationChunk(index=3, size=2, seed=7),)
ROW = '{{"chunk": 3, "row": {row}, "text": "a\\nb", "tokens": 2, "finish": "code", "seconds": 0.5}}'


def generator(folder: Path, body: str, *, retries: int = 0, said: list[str] | None = None) -> local.LlmGenerator:
    """A generator whose worker is a small real program; `row(n)` in it writes a good record."""
    prelude = f"""
    import json, os, sys, time
    job = json.loads(sys.stdin.readline())
    def row(number):
        print({ROW!r}.format(row=number), flush=True)
    """
    script = folder / "worker.py"
    script.write_text(textwrap.dedent(prelude) + textwrap.dedent(body), encoding="utf-8")
    command = (sys.executable, str(script))
    return local.LlmGenerator(
        model=MODEL,
        decoding=Decoding(),
        cache=folder / "cache",
        log=folder / "worker.log",
        command=command,
        retries=retries,
        pause=0.0,
        report=[].append if said is None else said.append,
    )
