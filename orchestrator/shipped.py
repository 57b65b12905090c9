"""Where files lie: what this project ships besides its code, and the cache.

A checkout has the shipped files in its top-level folders; a wheel holds copies of them in `orchestrator/shipped_files`.
"""

from __future__ import annotations

import difflib
import os
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import ConfigError

PROJECT = Path(__file__).parent.parent  # what the packages lie in: a checkout, or the site-packages of an installation
DOCKERFILE = "docker/sandbox.Dockerfile"  # marks a checkout: in an installation the folder `docker` is the SDK
PACKAGED = "orchestrator/shipped_files"
CONFIGS = "configs"
CACHE = ".cache"
APPLICATION = "nn-orchestrate"
DISTRIBUTIONS = (APPLICATION, f"{APPLICATION}-light")  # docker/wheels.py builds both of this code


def checkout(project: Path = PROJECT) -> Path | None:
    """Return `project` if it is a checkout, None if it is an installation."""
    return project if (project / DOCKERFILE).is_file() else None


def shipped(name: str, *, project: Path = PROJECT) -> Path:
    """Return the shipped file `name`, as in `docker/seccomp.json`.

    Raises:
        ConfigError: it is not there; the installation is damaged.
    """
    path = _home(project) / name
    if not path.is_file():
        raise ConfigError(f"{path}: is missing; install nn-orchestrate again")
    return path


def shipped_configs(*, project: Path = PROJECT) -> dict[str, Path]:
    """Return the shipped configurations by name."""
    paths = (_home(project) / CONFIGS).glob("*.yaml")
    return {path.stem: path for path in sorted(paths, key=lambda path: path.stem)}


def config_path(name: str, *, project: Path = PROJECT) -> Path:
    """Return the configuration that `name` names: a shipped one, as in `quickstart`, or any file.

    Raises:
        ConfigError: there is neither; the message lists what is shipped.
    """
    known = shipped_configs(project=project)
    path = known.get(name, Path(name))
    if path.is_file():
        return path
    if path.exists():
        raise ConfigError(f"{name}: is no file; name a YAML file or one of {', '.join(known)}")
    close = difflib.get_close_matches(Path(name).stem, known, n=1)
    meant = f" Did you mean {close[0]}?" if close else ""
    raise ConfigError(
        f"{name}: there is no such file, and no configuration of this name is shipped.{meant} "
        f"Shipped are {', '.join(known)}"
    )


def default_cache(*, project: Path = PROJECT) -> Path:
    """Return the cache that commands use unless they are told another: the same one from every folder.

    It is the checkout's `.cache`; an installation has none, so it is a folder in the user's own cache.
    """
    home = checkout(project)
    if home is not None:
        return home / CACHE
    from platformdirs import user_cache_path

    path: Path = user_cache_path(APPLICATION, appauthor=False)
    return path


def cache_folder(cache: str | Path | None = None) -> Path:
    """Return where models, data and the corpus are kept: `cache`, else ORCHESTRATE_CACHE, else the default."""
    given = cache or os.environ.get("ORCHESTRATE_CACHE")
    return Path(given) if given else default_cache()


def runs_folder(runs: str | Path | None = None) -> Path:
    """Return where runs are kept: `runs`, else ORCHESTRATE_RUNS, else the folder `runs` in the working folder."""
    return Path(runs or os.environ.get("ORCHESTRATE_RUNS") or "runs")


def version() -> str:
    """Return the version of this project, under whichever of its names it is installed; `unknown` if under none."""
    from importlib import metadata

    for name in DISTRIBUTIONS:
        with suppress(metadata.PackageNotFoundError):
            return f"{metadata.version(name)}{name.removeprefix(APPLICATION).replace('-', ' ')}"
    return "unknown"


def installing(extra: str) -> str:
    """Return the command that adds an extra to this project as it is installed: whole, or the light set."""
    whole, light = DISTRIBUTIONS
    return f"pip install '{light if version().endswith(' light') else whole}[{extra}]'"


def _home(project: Path) -> Path:
    """Return the folder that holds `docker` and `configs`."""
    return checkout(project) or project / PACKAGED
