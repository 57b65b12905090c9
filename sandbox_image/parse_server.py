"""Process 1 of a parser container: it reads programs one after the other and says what stands in them."""

from __future__ import annotations

import os
import sys
from typing import Any

from sandbox_image import wire
from sandbox_image.parser import inspect
from sandbox_image.relay import HOST_IN, send
from sandbox_image.supervisor import arm_watchdog


def serve(*, life: float) -> None:
    """Answer every job-and-source pair from the host until it closes the connection or `life` seconds have passed.

    The answer is the program to run if it is not the source, the shingles, and the stripped form if there is
    one, each a frame of its own, then the findings; they are written at once. Pairs may arrive ahead of the answers.
    """
    arm_watchdog(life)
    send(wire.encode_json(wire.READY, {"python": sys.version.split()[0]}))
    decoder = wire.Decoder(wire.TO_CONTAINER)
    frames: list[wire.Frame] = []
    while data := os.read(HOST_IN, 1 << 16):
        frames += decoder.feed(data)
        while len(frames) >= len((wire.JOB, wire.SOURCE)):
            job, source = frames.pop(0).json(), frames.pop(0).payload
            _answer(job, source)


def _answer(job: dict[str, Any], source: bytes) -> None:
    switches = {name: job[name] for name in ("complete", "strip", "compact", "shingle")}
    found = inspect(source, **switches)
    answer = b"" if found.program == source else wire.encode(wire.PROGRAM, found.program)
    answer += wire.encode(wire.SHINGLES, found.shingles)
    if found.stripped is not None:
        answer += wire.encode(wire.STRIPPED, found.stripped)
    findings = {
        "state": found.state,
        "stage": found.stage,
        "cause": found.cause,
        "completed": list(found.completed),
        "imports": list(found.imports),
        "hyperparameters": list(found.hyperparameters),
        "hyperparameters_known": found.hyperparameters_known,
        "tokens": found.tokens,
    }
    send(answer + wire.encode_json(wire.PARSED, findings))
