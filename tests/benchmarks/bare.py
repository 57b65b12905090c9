"""Runs programs' stages in this very process, with nothing around them: what the sandbox is measured against.

It is started with the sandbox image's own torch on PYTHONPATH, so that both sides run the same library, and warms up
as a waiting container does before its clock starts.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from sandbox_image import stages, warm, wire


def main(work_file: str) -> None:
    """Run the programs of a JSON file one after the other; print the seconds of their stages as a list.

    The file names the folder of training `data`, the file of validation `images` (uint8), and for each of its
    `programs` the `job` and the file of its `source`.
    """
    work = json.loads(Path(work_file).read_text(encoding="utf-8"))
    stages.DATA = Path(work["data"])
    images = Path(work["images"]).read_bytes()
    warm.import_torch()
    warm.import_optimizers()
    done = [run(one["job"], Path(one["source"]).read_bytes(), images) for one in work["programs"]]
    sys.stdout.write(json.dumps(done))


def run(job: dict[str, Any], source: bytes, images: bytes) -> dict[str, float]:
    """Return the seconds of each stage of one program."""
    frames_read, frames_write = os.pipe()
    images_read, images_write = os.pipe()
    marks: list[tuple[str, float]] = []

    def listen() -> None:
        decoder = wire.Decoder(wire.FROM_CANDIDATE)
        while data := os.read(frames_read, 1 << 16):
            for frame in decoder.feed(data):
                if frame.kind == wire.STAGE:
                    marks.append((frame.json()["stage"], time.monotonic()))
                if frame.kind == wire.STAGE and frame.json()["stage"] == "predict":
                    send(images_write, wire.encode(wire.IMAGES, images))

    listener = threading.Thread(target=listen)
    listener.start()
    stages.run(job, source, stages.Channel(frames=frames_write, images=images_read))
    end = time.monotonic()
    os.close(frames_write)
    listener.join()
    for descriptor in (frames_read, images_read, images_write):
        os.close(descriptor)
    following = [moment for _, moment in marks[1:]] + [end]
    return {name: after - began for (name, began), after in zip(marks, following, strict=True)}


def send(descriptor: int, data: bytes) -> None:
    """Write all of `data` to a pipe."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    main(*sys.argv[1:])
