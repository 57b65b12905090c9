"""What the candidate's own process does: import, instantiate, forward, train, predict; every word of it is a claim."""

from __future__ import annotations

import linecache
import os
import random
import sys
import traceback
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sandbox_image import eager, warm, wire
from sandbox_image.data import Feeder, Normaliser
from sandbox_image.rehearsal import Given, StageError, classes, given, rehearse

FILENAME = "candidate.py"
TEXT_LIMIT = 2000
DATA = Path("/data")


class Channel:
    """The candidate process's two pipes: frames to the supervisor, validation images from it."""

    def __init__(self, *, frames: int, images: int) -> None:
        self._frames = frames
        self._images = images

    def send(self, data: bytes) -> None:
        """Write one encoded frame whole."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._frames, view) :]

    def stage(self, name: str) -> None:
        """Say that a stage begins."""
        self.send(wire.encode_json(wire.STAGE, {"stage": name}))

    def receive_images(self) -> bytes:
        """Wait for the validation images: uint8, sent by the host once training has ended."""
        decoder = wire.Decoder({wire.IMAGES: wire.IMAGES_LIMIT})
        while True:
            data = os.read(self._images, 1 << 20)
            if not data:
                raise StageError("the host sent no validation images")
            for frame in decoder.feed(data):
                return frame.payload


def run(job: dict[str, Any], source: bytes, channel: Channel) -> None:
    """Run every stage of one candidate and send the predictions, or the first error.

    Catches everything, `SystemExit` and `KeyboardInterrupt` included: this process ends right after.
    """
    stage = "import"
    try:
        _seed(job)
        channel.stage(stage)
        module = _import(source)
        stage = "instantiate"
        channel.stage(stage)
        net, device = _instantiate(module, job)
        stage = "forward"
        channel.stage(stage)
        prm = given(job, module)
        rehearse(net, job, device, channel, prm)
        warm.import_optimizers()  # here, so that it counts as no part of training
        stage = "train"
        channel.stage(stage)
        _train(net, job, device, channel, prm)
        stage = "predict"
        channel.stage(stage)
        channel.send(wire.encode(wire.PREDICTIONS, _predict(net, job, device, channel)))
    except BaseException as error:
        channel.send(wire.encode_json(wire.ERROR, {"stage": stage, **describe(error)}))


def describe(error: BaseException) -> dict[str, Any]:
    """Return the kind, text and candidate-side traceback of an exception whose own methods may be hostile."""
    kind = type(error).__name__[:100]
    try:
        text = str(error)[:TEXT_LIMIT]
    except BaseException:
        text = "<no text: str() of the exception failed>"
    try:
        frames = traceback.extract_tb(error.__traceback__, limit=200)
        where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames if frame.filename == FILENAME]
    except BaseException:
        where = []
    memory = isinstance(error, MemoryError) or "can't allocate memory" in text
    return {
        "kind": kind.encode("utf-8", "backslashreplace").decode(),
        "text": text.encode("utf-8", "backslashreplace").decode(),
        "where": [line[:200].encode("utf-8", "backslashreplace").decode() for line in where[-5:]],
        "memory": memory,
        "gpu_memory": isinstance(error, torch.cuda.OutOfMemoryError),
    }


def _seed(job: dict[str, Any]) -> None:
    seed = int(job["seed"])
    torch.set_num_threads(int(job["threads"]))
    (torch.default_generator if job["device"] == "cpu" else torch).manual_seed(seed)  # the first is there at once
    torch.backends.cudnn.deterministic = True  # of cuDNN's algorithms only those that repeat
    np.random.seed(seed % 2**32)
    random.seed(seed)


def _import(source: bytes) -> types.ModuleType:
    text = source.decode("utf-8-sig")
    module = types.ModuleType("candidate")
    module.__file__ = FILENAME
    sys.modules["candidate"] = module
    lines = [line.decode() for line in text.encode().splitlines(keepends=True)]  # as Python counts them
    linecache.cache[FILENAME] = (len(text), None, lines, FILENAME)
    eager.replace_compiler()
    exec(compile(text, FILENAME, "exec", dont_inherit=True), module.__dict__)
    return module


def _instantiate(module: types.ModuleType, job: dict[str, Any]) -> tuple[torch.nn.Module, torch.device]:
    device = torch.device(job["device"])
    net = module.Net(tuple(job["in_shape"]), (int(job["classes"]),), given(job, module), device)
    if not isinstance(net, torch.nn.Module):
        raise StageError(f"Net() gives {type(net).__name__}, not an nn.Module")
    return net.to(device), device


def _train(net: torch.nn.Module, job: dict[str, Any], device: torch.device, channel: Channel, prm: Given) -> None:
    feeder = Feeder(folder=DATA, job=job, device=device)
    program: Any = net
    program.train_setup(prm)
    program.learn(feeder)
    claim = {"batches": feeder.batches, "samples": feeder.samples, "passes": feeder.passes}
    channel.send(wire.encode_json(wire.CLAIM, claim))


def _predict(net: torch.nn.Module, job: dict[str, Any], device: torch.device, channel: Channel) -> bytes:
    shape = tuple(job["in_shape"])
    images = torch.frombuffer(bytearray(channel.receive_images()), dtype=torch.uint8).view(-1, *shape[1:])
    normalise = Normaliser(mean=job["mean"], std=job["std"], device=device)
    answers = []
    net.eval()
    with torch.no_grad():
        for batch in images.split(shape[0]):
            answers += [classes(net(normalise(batch.to(device))), len(batch), job)]
    return torch.cat(answers).cpu().numpy().astype("<u2").tobytes()
