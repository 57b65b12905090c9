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

from sandbox_image import warm, wire
from sandbox_image.data import Feeder, Normaliser
from sandbox_image.fingerprint import Fingerprint

FILENAME = "candidate.py"
TEXT_LIMIT = 2000
DATA = Path("/data")


class StageError(Exception):
    """The candidate broke the contract in a way that raised nothing by itself."""


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
        seen = _forward(net, job, device)
        channel.send(wire.encode_json(wire.CLAIM, {"parameters": _parameters(net)} | seen))
        warm.import_optimizers()  # here, so that it counts as no part of training
        stage = "train"
        channel.stage(stage)
        _train(net, job, device, channel)
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
    linecache.cache[FILENAME] = (len(text), None, text.splitlines(keepends=True), FILENAME)
    exec(compile(text, FILENAME, "exec", dont_inherit=True), module.__dict__)
    return module


def _instantiate(module: types.ModuleType, job: dict[str, Any]) -> tuple[torch.nn.Module, torch.device]:
    device = torch.device(job["device"])
    net = module.Net(tuple(job["in_shape"]), (int(job["classes"]),), dict(job["prm"]), device)
    if not isinstance(net, torch.nn.Module):
        raise StageError(f"Net() gives {type(net).__name__}, not an nn.Module")
    return net.to(device), device


def _forward(net: torch.nn.Module, job: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Return what is claimed of the network that a dummy batch went through."""
    dummy = torch.randn(*job["in_shape"], generator=torch.Generator().manual_seed(0)).to(device)
    fingerprint = Fingerprint(dummy)
    net.eval()
    with torch.no_grad():
        with fingerprint:
            logits = net(dummy)
        _classes(logits, len(dummy), job)
    net.train()
    return fingerprint.claim(logits)


def _train(net: torch.nn.Module, job: dict[str, Any], device: torch.device, channel: Channel) -> None:
    feeder = Feeder(folder=DATA, job=job, device=device)
    program: Any = net
    program.train_setup(dict(job["prm"]))
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
            answers += [_classes(net(normalise(batch.to(device))), len(batch), job)]
    return torch.cat(answers).cpu().numpy().astype("<u2").tobytes()


def _classes(logits: object, count: int, job: dict[str, Any]) -> torch.Tensor:
    if not isinstance(logits, torch.Tensor):
        raise StageError(f"forward gives {type(logits).__name__}, not a tensor of logits")
    expected = (count, int(job["classes"]))
    if tuple(logits.shape) != expected:
        raise StageError(f"forward gives shape {tuple(logits.shape)}, not {expected}")
    if not logits.is_floating_point():
        raise StageError(f"forward gives {logits.dtype}, not floating-point logits")
    if not torch.isfinite(logits).all():
        raise StageError("forward gives logits that are not finite")
    return logits.argmax(dim=1)


def _parameters(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())
