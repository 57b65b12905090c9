"""Feeds the wire's decoder what a coverage-guided fuzzer makes up.

`pip install atheris`, then `python -m tests.benchmarks.fuzz_wire -max_total_time=180`. Whatever the bytes, the decoder
returns frames or raises WireError, and a JSON payload is an object or a WireError.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports():
    from sandbox_image import wire


def feed(data: bytes) -> None:
    """Cut `data` in two, feed both halves, and read every frame as JSON."""
    provider = atheris.FuzzedDataProvider(data)
    cut = provider.ConsumeIntInRange(0, max(0, len(data) - 1))
    rest = provider.ConsumeBytes(len(data))
    decoder = wire.Decoder(wire.FROM_SUPERVISOR | wire.FROM_PARSER)
    with contextlib.suppress(wire.WireError):
        for piece in (rest[:cut], rest[cut:]):
            for frame in decoder.feed(piece):
                with contextlib.suppress(wire.WireError):
                    frame.json()


if __name__ == "__main__":
    atheris.Setup(sys.argv, feed)
    atheris.Fuzz()
