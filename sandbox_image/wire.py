"""Frames between host and container: a kind byte, a 32-bit length, a payload; everything bounded, nothing executed."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HEADER = struct.Struct(">cI")
JSON_LIMIT = 64 * 1024
MARK_LIMIT = 1024
STREAM_LIMIT = 64 * 1024
SOURCE_LIMIT = 8 * 1024 * 1024
IMAGES_LIMIT = 1 << 30

WARM = b"W"  # host: import what optimizers need, while no job is there
JOB = b"J"  # host: JSON, what to do with the source that follows
SOURCE = b"S"  # host: the program's bytes
IMAGES = b"I"  # host: validation images, uint8, only after training

READY = b"R"  # container: JSON, torch is imported and a job may come
STAGE = b"T"  # container: JSON, a stage begins
CLAIM = b"C"  # container: JSON, numbers that the candidate's process reports
ERROR = b"F"  # container: JSON, a stage failed with an exception
PREDICTIONS = b"Y"  # container: N little-endian uint16
STDOUT = b"O"  # container: bytes the candidate printed
STDERR = b"E"  # container: bytes the candidate printed
DEATH = b"D"  # container: JSON, the candidate's process has ended
PARSED = b"X"  # container: JSON, what the parser found
PROGRAM = b"P"  # container: the bytes that would run
STRIPPED = b"Q"  # container: a program's bytes without the parts that completion restores
SHINGLES = b"H"  # container: little-endian uint64 hashes

TO_CONTAINER = {WARM: 0, JOB: JSON_LIMIT, SOURCE: SOURCE_LIMIT, IMAGES: IMAGES_LIMIT}
FROM_CANDIDATE = {STAGE: MARK_LIMIT, CLAIM: MARK_LIMIT, ERROR: JSON_LIMIT, PREDICTIONS: 2 * 1024 * 1024}
FROM_SUPERVISOR = FROM_CANDIDATE | {
    READY: JSON_LIMIT,
    STDOUT: STREAM_LIMIT,
    STDERR: STREAM_LIMIT,
    DEATH: JSON_LIMIT,
}
FROM_PARSER = {
    READY: JSON_LIMIT,
    PARSED: JSON_LIMIT,
    PROGRAM: SOURCE_LIMIT,
    STRIPPED: SOURCE_LIMIT,
    SHINGLES: SOURCE_LIMIT,
}


class WireError(ValueError):
    """The other side broke the protocol; the message says how."""


@dataclass(frozen=True)
class Frame:
    """One whole message."""

    kind: bytes
    payload: bytes

    def json(self) -> dict[str, Any]:
        """Return the payload as one JSON object; raise WireError for anything else."""
        return decode_json(self.payload)


def encode(kind: bytes, payload: bytes | memoryview) -> bytes:
    """Return the bytes of one frame."""
    return HEADER.pack(kind, len(payload)) + bytes(payload)


def encode_json(kind: bytes, value: dict[str, Any]) -> bytes:
    """Return the bytes of one frame that holds a JSON object."""
    return encode(kind, json.dumps(value, ensure_ascii=True, allow_nan=False).encode("ascii"))


def decode_json(payload: bytes) -> dict[str, Any]:
    """Parse strict JSON: an object, UTF-8, no duplicate keys, no NaN or Infinity, bounded numbers and depth."""
    if len(payload) > JSON_LIMIT:
        raise WireError(f"JSON of {len(payload)} bytes is over the limit of {JSON_LIMIT}")
    try:
        value = json.loads(
            payload.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # an escaped lone surrogate has no bytes
    except (ValueError, RecursionError) as error:
        raise WireError(f"not strict JSON: {str(error)[:200]}") from error
    if not isinstance(value, dict):
        raise WireError(f"JSON is {type(value).__name__}, not an object")
    return value


class Decoder:
    """Cuts a byte stream into frames of the kinds in `limits`, each at most that many bytes.

    The length is checked as soon as the header is there, so a lying header costs no memory.
    """

    def __init__(self, limits: dict[bytes, int]) -> None:
        self._limits = limits
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[Frame]:
        """Take more bytes and yield the frames that are now whole; those before a broken one count.

        Raises:
            WireError: an unknown kind, or a length over its limit; the stream is then unusable.
        """
        self._buffer += data
        start = 0
        try:
            while len(self._buffer) - start >= HEADER.size:
                kind, length = HEADER.unpack_from(self._buffer, start)
                limit = self._limits.get(kind)
                if limit is None:
                    raise WireError(f"unknown frame kind {kind!r}")
                if length > limit:
                    raise WireError(f"frame {kind!r} of {length} bytes is over its limit of {limit}")
                end = start + HEADER.size + length
                if len(self._buffer) < end:
                    break
                frame = Frame(kind, bytes(self._buffer[start + HEADER.size : end]))
                start = end
                yield frame
        finally:
            del self._buffer[:start]

    @property
    def pending(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._buffer)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("number out of range")
    return value
