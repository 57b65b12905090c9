"""Runs one program's stages in this very process, with nothing around it: what the sandbox is measured against.

It is started with the sandbox image's own torch on PYTHONPATH, so that both sides run the same library, and warms up as a
waiting container does before its clock starts.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from sandbox_image import stages, supervisor, wire


def main(job_file: str, source_file: str, data: str, images_file: str) -> None:
    """Print the seconds of each stage as one JSON object; the last line of stdout."""
    stages.DATA = Path(data)
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
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
                    send(images_write, wire.encode(wire.IMAGES, Path(images_file).read_bytes()))

    listener = threading.Thread(target=listen)
    supervisor.warm_up()
    listener.start()
    stages.run(job, Path(source_file).read_bytes(), stages.Channel(frames=frames_write, images=images_read))
    end = time.monotonic()
    os.close(frames_write)
    listener.join()
    following = [moment for _, moment in marks[1:]] + [end]
    sys.stdout.write(json.dumps({name: after - began for (name, began), after in zip(marks, following, strict=True)}))


def send(descriptor: int, data: bytes) -> None:
    """Write all of `data` to a pipe."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    main(*sys.argv[1:])
