"""What wheels and base models say of their own licences, read where they lie on this machine; nothing is guessed."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from pathlib import Path, PurePosixPath

import yaml

from orchestrator.errors import InfrastructureError
from orchestrator.language_model.assets import PYPI, hub_file, wheels
from orchestrator.records import ModelSpec

OSI = "License :: OSI Approved :: "
TEXT = re.compile(r"(licen[sc]e|copying|notice)[^/]*$", re.IGNORECASE)
FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
LONGEST = 80  # characters of a License field that is a name and no text


@dataclass(frozen=True)
class Licence:
    """What was found: the words, where they stand, and the texts of licences by file name.

    `words` is None if nothing is stated.
    """

    words: str | None
    where: str
    texts: dict[str, bytes] = field(default_factory=dict)


def of_wheel(requirement: str, cache: Path) -> Licence:
    """Return what the wheel of `requirement` (`name==version`) states, if it lies in `cache`; nothing is downloaded.

    Raises:
        InfrastructureError: the wheel cannot be read.
    """
    path = next(wheels(requirement, cache / "wheels"), None)
    if path is None:
        return Licence(None, f"{requirement} is not in {cache / 'wheels'}")
    try:
        with zipfile.ZipFile(path) as content:
            names = content.namelist()
            inner = next(name for name in names if name.endswith(".dist-info/METADATA"))
            texts = {name: content.read(name) for name in names if TEXT.search(PurePosixPath(name).name)}
            words = _stated(message_from_bytes(content.read(inner)))
    except (OSError, zipfile.BadZipFile, StopIteration) as error:
        raise InfrastructureError(f"{path}: is no readable wheel: {error}; delete it to fetch it again") from error
    short = {f"{place:02d}-{PurePosixPath(name).name}": texts[name] for place, name in enumerate(sorted(texts), 1)}
    return Licence(words, f"the metadata of the wheel {requirement}", short)


def of_model(spec: ModelSpec, cache: Path) -> Licence:
    """Return what a base model states of its licence: in its GGUF file, or in its model card; nothing is downloaded.

    Raises:
        InfrastructureError: a file that is there cannot be read.
    """
    if spec.source.startswith(PYPI):
        wheel = next(wheels(spec.source.removeprefix(PYPI), cache / "wheels"), None)
        found = [] if wheel is None else sorted((cache / "models" / wheel.stem).glob("*.gguf"))
        return _of_gguf(found[0]) if found else Licence(None, f"the model's file is not in {cache / 'models'}")
    path = Path(spec.source).expanduser()
    if path.is_file():
        return _of_gguf(path)
    card = path / "README.md" if path.is_dir() else hub_file(spec, "README.md")
    if card is None or not card.is_file():
        return Licence(None, "the model's card is not on this machine")
    words = _front_matter(card).get("license")
    return Licence(words if isinstance(words, str) else None, "the base model's card")


def _stated(metadata: Message) -> str | None:
    """Return a package's licence in its own words: the expression, the classifiers, or a License field of one line."""
    names = list(_classified(metadata))
    stated = str(metadata.get("License-Expression") or metadata.get("License") or "").strip()
    if metadata.get("License-Expression") or (not names and stated and len(stated) <= LONGEST):
        return stated
    return "; ".join(names) or None


def _classified(metadata: Message) -> Iterator[str]:
    for classifier in metadata.get_all("Classifier", []):
        if str(classifier).startswith(OSI):
            yield str(classifier).removeprefix(OSI)


def _of_gguf(path: Path) -> Licence:
    from gguf import GGUFReader

    try:
        stated = GGUFReader(path).fields.get("general.license")
    except (OSError, ValueError) as error:
        raise InfrastructureError(f"{path}: is no readable GGUF file: {error}") from error
    words = None if stated is None else str(stated.contents())
    return Licence(words, f"general.license of {path.name}")


def _front_matter(card: Path) -> dict[str, object]:
    found = FRONT_MATTER.match(card.read_text(encoding="utf-8", errors="replace"))
    try:
        values = yaml.safe_load(found[1]) if found else None
    except yaml.YAMLError:
        return {}
    return values if isinstance(values, dict) else {}
