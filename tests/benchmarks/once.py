"""A fine-tune that all sides of a row share, because it is the same for each."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.language_model import Trainer
from orchestrator.records import Adapter, Entry


@dataclass(frozen=True)
class Once:
    """A trainer that trains the first time and hands out the same adapter from then on."""

    trainer: Trainer
    folder: Path

    @property
    def seconds(self) -> float:
        """How long it trained."""
        return float(self._seconds.read_text(encoding="ascii"))

    @property
    def _seconds(self) -> Path:
        return self.folder / "seconds"

    def train(self, *, entries: Sequence[Entry], adapter: Path | None, output: Path, seed: int) -> Adapter:
        """Train as `trainer` does unless that was done; see `seams.Trainer`."""
        record, weights = self.folder / "adapter.json", self.folder / "adapter"
        if not record.is_file():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            began = time.monotonic()
            made = self.trainer.train(entries=entries, adapter=adapter, output=weights, seed=seed)
            self._seconds.write_text(repr(time.monotonic() - began), encoding="ascii")
            record.write_text(made.model_dump_json(), encoding="utf-8")
        shutil.copytree(weights, output)
        return Adapter.model_validate_json(record.read_text(encoding="utf-8"))
