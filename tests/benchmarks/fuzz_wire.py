"""Feeds the host's side of the wire what a coverage-guided fuzzer makes up.

`pip install atheris`, then `python -m tests.benchmarks.fuzz_wire -max_total_time=180`. Whatever the bytes, the decoder
returns frames or raises WireError, a JSON payload is an object or a WireError, and what a trial has taken down up to
the first broken rule can be read as a reply.
"""

from __future__ import annotations

import contextlib
import sys

import atheris
from pydantic import ValidationError

with atheris.instrument_imports(include=["sandbox_image", "orchestrator.evaluation.transcript"]):
    from orchestrator.evaluation.transcript import BrokenWireError, Testimony
    from sandbox_image import wire

STORED = 64  # bytes of each output stream


def feed(data: bytes) -> None:
    """Cut `data` in two, feed both halves, read every frame as JSON and take it down as a trial does."""
    provider = atheris.FuzzedDataProvider(data)
    cut = provider.ConsumeIntInRange(0, max(0, len(data) - 1))
    rest = provider.ConsumeBytes(len(data))
    decoder, testimony = wire.Decoder(wire.FROM_SUPERVISOR | wire.FROM_PARSER), Testimony(stored=STORED)
    with contextlib.suppress(BrokenWireError, ValidationError, wire.WireError):
        for piece in (rest[:cut], rest[cut:]):
            for frame in decoder.feed(piece):
                with contextlib.suppress(wire.WireError):
                    frame.json()
                testimony.take(frame)
    testimony.reply()
    if testimony.log_bytes > STORED * len(testimony.output()):
        raise AssertionError("more output was kept than may be")


if __name__ == "__main__":
    atheris.Setup(sys.argv, feed)
    atheris.Fuzz()
