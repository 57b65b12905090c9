"""The engine's multiplexed stream, in which stdout and stderr of a container come in pieces (Docker API, attach)."""

from __future__ import annotations

import struct

STREAM_HEADER = struct.Struct(">BxxxL")


def demultiplex(raw: bytearray) -> list[tuple[int, bytes]]:
    """Cut the whole pieces off the front of the engine's stream: (1 for stdout, 2 for stderr; bytes)."""
    pieces = []
    start = 0
    while len(raw) - start >= STREAM_HEADER.size:
        stream, length = STREAM_HEADER.unpack_from(raw, start)
        end = start + STREAM_HEADER.size + length
        if len(raw) < end:
            break
        pieces.append((stream, bytes(raw[start + STREAM_HEADER.size : end])))
        start = end
    del raw[:start]
    return pieces
