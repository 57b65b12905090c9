"""The failures that are ours: each names what went wrong and what to change, and is never held against a candidate."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import ValidationError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
LASTING = frozenset(
    (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)
)


class OrchestratorError(Exception):
    """Base of every error that the command line shows as one message instead of a traceback."""


class ConfigError(OrchestratorError):
    """The configuration, or an argument that overrides it, is wrong: the message names the key and the file."""


class InfrastructureError(OrchestratorError):
    """The engine, the disk, an image, an asset or the LLM worker failed; a later resume may succeed."""


class UnkillableError(InfrastructureError):
    """A container still runs although the engine was told to kill it: its kernel or a device holds it."""


class FinalError(InfrastructureError):
    """Another attempt would end the same."""


class NoSlotError(FinalError):
    """Nothing is left that a candidate could run in: trying again helps no candidate, and is held against none."""


class RefusedJobError(FinalError):
    """The LLM worker says that its job cannot be done as it is written: another worker would say the same."""


class LedgerError(OrchestratorError):
    """A ledger on disk is damaged or does not belong to this run: the message names the file and the line."""


class ChangedWarning(UserWarning):
    """What is read was changed after it was written: the message names the file and the line."""


def unwritable(path: Path, error: OSError) -> InfrastructureError:
    """Return the error for a place that cannot be written to; it is final if another attempt would meet the same."""
    cause = f"{path}: cannot be written: {error.strerror or error}"
    if error.errno in FULL:
        return InfrastructureError(f"{cause}; free space and resume")
    return FinalError(cause) if error.errno in LASTING else InfrastructureError(cause)


def issues(error: ValidationError, *, whole: str = "line") -> Iterator[str]:
    """Yield what is wrong, each as a key and words for people who know nothing of pydantic; no key is the `whole`."""
    for issue in error.errors():
        said = "there is no such key" if issue["type"] == "extra_forbidden" else issue["msg"]
        yield f"{'.'.join(map(str, issue['loc'])) or whole}: {said.removeprefix('Value error, ')}"


def refuse(wrong: Iterable[str]) -> None:
    """Raise ConfigError that says all of `wrong`, if there is anything in it: who mends one thing sees the others."""
    found = list(wrong)
    if found:
        raise ConfigError(found[0] if len(found) == 1 else "\n- ".join((f"{len(found)} things are wrong:", *found)))
