"""What every record is: frozen, strict, finite; and the digests and seeds that are taken of records."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA: Literal[1] = 1

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Seconds = Annotated[float, Field(ge=0.0)]


class Record(BaseModel):
    """A frozen fact: strict types, no unknown field, no NaN."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Line(Record):
    """A record that is one line of a ledger; `schema_version` lets old runs stay readable."""

    schema_version: Literal[1] = SCHEMA


def canonical(value: Any) -> bytes:
    """Return the one JSON text of `value` (sorted keys, no spaces, UTF-8) that digests are taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(content: bytes) -> str:
    """Return the SHA-256 of `content` in hexadecimal: the name under which it is stored."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """Return the digest of the file's content, which is read in blocks and may be larger than memory.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def derived_seed(*parts: str | int) -> int:
    """Return a 63-bit seed that depends on every part; the same parts give the same seed everywhere."""
    return int.from_bytes(hashlib.sha256(canonical(list(parts))).digest()[:8], "big") >> 1
