"""Where those files lie that a wheel does not hold: the image's recipe, the seccomp profile, shipped configurations."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import ConfigError

PROJECT = Path(__file__).parent.parent


def shipped(name: str, *, project: Path = PROJECT) -> Path:
    """Return the file `name` of the checkout.

    Raises:
        ConfigError: it is not there, as in an installation without its checkout.
    """
    path = project / name
    if not path.is_file():
        raise ConfigError(
            f"{path}: is missing; the orchestrator runs from a checkout: `pip install --editable .` in one"
        )
    return path
