"""Which programs compute what an earlier one computes, by what candidates claim themselves; it decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.records import Digest
from orchestrator.run.folder import RunFolder


class Functional(NamedTuple):
    """Of the programs that a cycle admitted as textually novel: functional duplicates, and known fingerprints.

    `duplicates` is None if nothing is known of any of them.
    """

    duplicates: int | None
    fingerprinted: int


@dataclass(frozen=True)
class Twins:
    """The valid candidates whose fingerprint is known, and for some the first earlier program with the same one."""

    known: frozenset[str]
    earlier: Mapping[str, str]


def twins(run: RunFolder, *, until: int | None = None) -> Twins:
    """Return the twins of every cycle, or of those up to `until`; earlier are seeds and valid candidates.

    A seed's fingerprint is known if it was qualified since fingerprints are taken.
    """
    seeds = {entry.entry_id: entry.fingerprint for entry in run.corpus.read() if entry.fingerprint is not None}
    first: dict[Digest, str] = {}
    for name in sorted(seeds):
        first.setdefault(seeds[name], name)
    known, earlier = [], {}
    for folder in run.cycles():
        if until is not None and folder.number > until:
            break
        for verdict in folder.verdicts.read():
            name, fingerprint = verdict.candidate_id, verdict.claimed.fingerprint
            if verdict.state != "passed" or fingerprint is None:
                continue
            known.append(name)
            if first.setdefault(fingerprint, name) != name:
                earlier[name] = first[fingerprint]
    return Twins(known=frozenset(known), earlier=earlier)


def counted(run: RunFolder, cycle: int) -> Functional:
    """Return how many programs that `cycle` admitted are textually novel but functionally equal to an earlier one."""
    found, tau = twins(run, until=cycle), run.config.novelty.tau
    admitted = [record for record in run.cycle(cycle).novelty.read() if record.decision == "admitted"]
    novel = [record.candidate_id for record in admitted if record.is_novel(tau)]
    fingerprinted = sum(name in found.known for name in novel)
    duplicates = sum(name in found.earlier for name in novel)
    return Functional(None if novel and not fingerprinted else duplicates, fingerprinted)
