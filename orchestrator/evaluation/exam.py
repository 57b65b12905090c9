"""What one candidate is asked under a protocol: its job, the images in an order of its own, and their answers."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.config import Config
from orchestrator.evaluation.dataset import Prepared
from orchestrator.evaluation.verdict import Answers
from orchestrator.records import Candidate, derived_seed
from orchestrator.sandbox.slots import Slot
from orchestrator.sections import Protocol


@dataclass(frozen=True)
class Exam:
    """The exam of every candidate of one evaluator; `key` is secret, and gives each its order of validation images."""

    config: Config
    prepared: Prepared
    key: bytes

    def answers(self, candidate: Candidate) -> Answers:
        """Return what only the host knows: the N labels, and in which order their images are shown."""
        labels: npt.NDArray[Any] = self.prepared.validation_labels
        keyed = hmac.digest(self.key, candidate.candidate_id.encode(), "sha256")
        order = np.random.Generator(np.random.PCG64(int.from_bytes(keyed, "big"))).permutation(len(labels))
        return Answers(labels=labels, order=order, classes=self.prepared.classes)

    def images(self, candidate: Candidate) -> bytes:
        """Return the validation images in the candidate's order: N x 3 x R x R bytes."""
        return bytes(self.prepared.validation_images()[self.answers(candidate).order].data)

    def job(self, candidate: Candidate, slot: Slot) -> dict[str, Any]:
        """Return all but the program that the container in `slot` is told, as plain data."""
        sandbox = self.config.sandbox
        return {
            "uid": slot.uid,
            "threads": sandbox.threads,
            "device": "cuda" if slot.gpu else "cpu",
            "log": {"stored": sandbox.log_stored, "killed": sandbox.log_killed},
            **conditions(self.config.protocol, self.prepared, source=candidate.source or ""),
        }


def conditions(protocol: Protocol, prepared: Prepared, *, source: str) -> dict[str, Any]:
    """Return what a program is run under wherever it runs; `source` is the digest of its text."""
    return {
        "seed": derived_seed(protocol.seed, source),
        "in_shape": [protocol.batch, 3, protocol.resolution, protocol.resolution],
        "classes": prepared.classes,
        "batch": protocol.batch,
        "single": protocol.single,
        "augmentation": protocol.augmentation,
        "mean": list(prepared.mean),
        "std": list(prepared.std),
        "prm": {
            "lr": protocol.lr,
            "momentum": protocol.momentum,
            "dropout": protocol.dropout,
            "batch": protocol.batch,
            "epoch": protocol.epochs,
            "transform": f"norm_{protocol.resolution}" + ("_flip" if protocol.augmentation == "crop_flip" else ""),
        },
    }
