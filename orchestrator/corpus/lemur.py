"""The LEMUR corpus: model sources and trial records, read from its wheel as a zip file that is never installed."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import from_json

from orchestrator.errors import InfrastructureError

MODELS = "ab/nn/nn/"
TRIALS = "ab/nn/stat/train/"
MEMBER_LIMIT = 64 << 20  # bytes


@dataclass(frozen=True)
class Model:
    """One model file; `accuracy` is its best CIFAR-10 accuracy (0 to 1) after one epoch, if LEMUR has any."""

    name: str
    source: bytes
    accuracy: float | None


@dataclass(frozen=True)
class Lemur:
    """What the wheel holds: its models by name, in order, and the number of trials.

    `best_rows` are the trials with the highest accuracy of their task, data set, metric, model and epoch, ties
    included: what LEMUR's own query for the best returns, and the paper begins with.
    """

    models: tuple[Model, ...]
    trials: int
    best_rows: int


@dataclass(frozen=True)
class TrialFile:
    """One file of trial records, as its path names it; a model's name may hold underscores, the other parts do not."""

    task: str
    dataset: str
    metric: str
    model: str
    epoch: int


def read(wheel: Path) -> Lemur:
    """Read every model and every trial record of `wheel`.

    Raises:
        InfrastructureError: the file cannot be read, or is not an nn-dataset wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            sources: dict[str, bytes] = {}
            best: dict[str, float] = {}
            trials = best_rows = 0
            for member in archive.infolist():
                name = member.filename
                if name.startswith(TRIALS) and name.endswith(".json"):
                    accuracies = [record["accuracy"] for record in from_json(_content(archive, member))]
                    trials += len(accuracies)
                    if accuracies:
                        best_rows += accuracies.count(max(accuracies))
                        _note_best(best, trial_file(name), max(accuracies))
                elif name.startswith(MODELS) and name.endswith(".py") and "/" not in name.removeprefix(MODELS):
                    sources[name.removeprefix(MODELS).removesuffix(".py")] = _content(archive, member)
    except (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise InfrastructureError(f"{wheel}: cannot be read as the LEMUR wheel: {error}; fetch it again") from error
    sources.pop("__init__", None)
    if not sources:
        raise InfrastructureError(f"{wheel}: holds no models under {MODELS}; corpus.lemur must name nn-dataset")
    models = tuple(Model(name=name, source=sources[name], accuracy=best.get(name)) for name in sorted(sources))
    return Lemur(models=models, trials=trials, best_rows=best_rows)


def trial_file(path: str) -> TrialFile:
    """Read `<task>_<dataset>_<metric>_<model>/<epoch>.json` off the end of `path`.

    Raises:
        ValueError: the path has another form.
    """
    *_, folder, file = path.split("/")
    task, dataset, metric, model = folder.split("_", 3)
    return TrialFile(task=task, dataset=dataset, metric=metric, model=model, epoch=int(file.removesuffix(".json")))


def _note_best(best: dict[str, float], file: TrialFile, accuracy: float) -> None:
    if file.dataset == "cifar-10" and file.metric == "acc" and file.epoch == 1:
        best[file.model] = max(accuracy, best.get(file.model, accuracy))


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.file_size > MEMBER_LIMIT:
        raise ValueError(f"{member.filename} is larger than {MEMBER_LIMIT} bytes")
    return archive.read(member)
