"""What defined and surrounded a run, recorded so that it can be repeated: no secrets, no environment variables."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from orchestrator.config import Config
from orchestrator.machine import gpus
from orchestrator.records import Digest, Entry, Provenance, canonical, digest
from orchestrator.run.ledger import Ledger
from orchestrator.shipped import PROJECT

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
    "nn-orchestrate-light",
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
    checkout: Path = PROJECT,
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
    """Return what git prints in `checkout`; None if it is no checkout or there is no git."""
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
