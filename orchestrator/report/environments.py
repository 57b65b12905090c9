"""Where the candidates of runs were executed, by which code, and how much equal programs differ between such places."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.records import Digest, Provenance
from orchestrator.run import Store
from orchestrator.run.history import History


@dataclass(frozen=True)
class Place:
    """One environment, the cycles that executed candidates in it, and how many; `description` is empty if not kept."""

    environment: Digest
    cycles: tuple[int, ...]
    candidates: int
    description: Mapping[str, Any]

    @property
    def named(self) -> str:
        """Which cycles these are, in words."""
        first, last = self.cycles[0], self.cycles[-1]
        whole = self.cycles == tuple(range(first, last + 1)) and last > first
        return f"{first} to {last}" if whole else ", ".join(map(str, self.cycles))

    def said(self, key: str) -> str:
        """Return one part of the description as text, identities cut; a dash if it is not known."""
        value = self.description.get(key)
        if value is None:
            return "-"
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        return text.removeprefix("sha256:")[:12] if text.startswith("sha256:") else text

    def plain(self) -> dict[str, Any]:
        """Return the place as plain data."""
        return {
            "environment": self.environment,
            "cycles": list(self.cycles),
            "candidates": self.candidates,
            "description": dict(self.description),
        }


@dataclass(frozen=True)
class Code:
    """One state of the orchestrator that evaluated a run; `changed` if something in it was not committed."""

    revision: str | None
    changed: bool | None

    @property
    def text(self) -> str:
        """The state in words."""
        if self.revision is None:
            return "unknown"
        return f"{self.revision[:8]}{' with changes' if self.changed else ''}"


@dataclass(frozen=True)
class Drift:
    """Of the programs executed in several places under one protocol: how many, how many differ, by how much at most."""

    programs: int
    differ: int
    most: float

    @property
    def text(self) -> str:
        """One sentence for a note."""
        if not self.programs:
            return "No program was executed in more than one environment."
        if not self.differ:
            return f"All {self.programs} programs that were executed in several environments have one accuracy."
        return (
            f"Of {self.programs} programs that were executed in several environments {self.differ} have different"
            f" accuracies, by {100 * self.most:.1f} points at most."
        )


def places(histories: Iterable[History], store: Store) -> tuple[Place, ...]:
    """Return the places in which candidates were executed, in the order of their first.

    Raises:
        LedgerError: a stored description is damaged.
    """
    found: dict[Digest, list[int]] = {}
    for history in histories:
        if history.verdict is not None and history.verdict.measured.container_id is not None:
            found.setdefault(history.verdict.environment, []).append(history.cycle)
    return tuple(
        Place(name, tuple(sorted(set(cycles))), len(cycles), _description(store, name))
        for name, cycles in found.items()
    )


def codes(provenance: Iterable[Provenance]) -> tuple[Code, ...]:
    """Return each state of the code that a run's provenance has, in order."""
    return tuple(dict.fromkeys(Code(one.git_revision, one.git_dirty) for one in provenance))


def drift(groups: Iterable[tuple[str, Sequence[History]]]) -> Drift:
    """Return how accuracies of equal programs differ between places; each group is a protocol's hash and candidates."""
    found: dict[tuple[str, Digest], dict[Digest, float]] = {}
    for protocol, histories in groups:
        for history in histories:
            program = None if history.candidate is None else history.candidate.program
            if program is not None and history.verdict is not None and history.accuracy is not None:
                known = found.setdefault((protocol, program.runs), {})
                known[history.verdict.environment] = history.accuracy
    several = [list(known.values()) for known in found.values() if len(known) > 1]
    spreads = [max(values) - min(values) for values in several]
    return Drift(len(several), sum(spread > 0 for spread in spreads), max(spreads, default=0.0))


def _description(store: Store, name: Digest) -> Mapping[str, Any]:
    if not store.path(name).is_file():
        return {}
    plain = json.loads(store.get(name))
    return plain if isinstance(plain, dict) else {}
