"""Admitted architectures to be looked at: the program, its accuracy, and how it differs from its nearest neighbour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.escape import escaped
from orchestrator.records import Digest, Neighbour
from orchestrator.report.estimate import percent
from orchestrator.run import RunFolder, Store
from orchestrator.run.functional_duplicates import twins
from orchestrator.run.history import History

SHOWN = 12_000  # characters of a program, and of a diff
LINES = 400  # of each program, shown and compared: these are texts that may be made to be slow to colour or to compare
DIFF_LINES = 120
NOBODY = "no earlier program whose fingerprint is known"
FINGERPRINT = 12  # characters: as many as tell those of a run apart
CLAIMS = ("parameters", "layers", "operations")


@dataclass(frozen=True)
class Exhibit:
    """One admitted program, escaped; `program` and `diff` are None if the texts are no longer kept.

    `twin` is the first earlier program that claims to compute the same, if one does.
    """

    history: History
    near: Neighbour | None
    near_in: str
    program: str | None
    diff: str | None
    twin: str | None = None

    @property
    def accuracy(self) -> str:
        """Its first-epoch accuracy in per cent."""
        return percent(self.history.accuracy)

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What is known of the program, name and text; what its container claimed is called so."""
        candidate, verdict = self.history.candidate, self.history.verdict
        found = [("cycle", str(self.history.cycle))]
        claimed = {} if verdict is None else verdict.claimed.model_dump(include={*CLAIMS, "fingerprint"})
        found += [(f"{name} (claimed)", f"{claimed[name]:,}") for name in CLAIMS if claimed.get(name) is not None]
        if claimed.get("fingerprint") is not None:
            found.append(("fingerprint (claimed)", claimed["fingerprint"][:FINGERPRINT]))
            found.append(("computes the same (claimed)", f"as {self.twin or NOBODY}"))
        if candidate is not None and candidate.program is not None:
            found.append(("Python tokens", f"{candidate.program.tokens:,}"))
            if candidate.program.completed:
                found.append(("completed for the run", ", ".join(candidate.program.completed)))
        if verdict is not None and "train" in verdict.measured.seconds:
            found.append(("training", f"{verdict.measured.seconds['train']:.1f} s"))
        if verdict is not None and verdict.measured.flags:
            found.append(("flags", "; ".join(verdict.measured.flags)))
        novelty = self.history.novelty
        if novelty is not None and novelty.rejection_count is not None:
            found.append(("near-duplicates before it", str(novelty.rejection_count)))
        return (*found, ("nearest neighbour", self._neighbour))

    @property
    def _neighbour(self) -> str:
        if self.near is None:
            return "none: by the estimate it shares nothing with any earlier program"
        near = self.near
        return f"{near.entry_id} in the {self.near_in}, Jaccard {near.estimate:.2f} (exactly {near.exact:.2f})"


def gallery(run: RunFolder, histories: Sequence[History], *, most: int) -> tuple[Exhibit, ...]:
    """Return the `most` accurate of the admitted candidates among `histories`, the best first."""
    admitted = [history for history in histories if history.state == "admitted"]
    chosen = sorted(admitted, key=lambda history: (-(history.accuracy or 0.0), history.candidate_id))[:most]
    if not chosen:
        return ()
    sources, earlier = dict(_sources(run, histories)), twins(run).earlier
    return tuple(_exhibit(run.store, history, sources, twin=earlier.get(history.candidate_id)) for history in chosen)


def _sources(run: RunFolder, histories: Sequence[History]) -> Iterator[tuple[str, Digest]]:
    """Yield the name and the source of every program that can be somebody's neighbour."""
    for entry in run.corpus.read():
        yield entry.entry_id, entry.source
    for history in histories:
        if history.candidate is not None and history.candidate.source is not None:
            yield history.candidate_id, history.candidate.source


def _exhibit(store: Store, history: History, sources: dict[str, Digest], *, twin: str | None) -> Exhibit:
    where = max(history.neighbours, key=lambda name: history.neighbours[name].estimate, default="")
    near = history.neighbours.get(where)
    own = _text(store, sources.get(history.candidate_id))
    other = None if near is None else _text(store, sources.get(near.entry_id))
    diff = None
    if own is not None and other is not None and near is not None:
        diff = _difference(other, own, names=(near.entry_id, history.candidate_id))
    program = None if own is None else _cut(own)
    return Exhibit(history=history, near=near, near_in=where, program=program, diff=diff, twin=twin)


def _text(store: Store, source: Digest | None) -> str | None:
    """Return the escaped text of a program; None if it is not kept, as in a run copied without its objects."""
    if source is None or not store.path(source).is_file():
        return None
    return escaped(store.get(source)).expandtabs(4)


def _difference(before: str, after: str, *, names: tuple[str, str]) -> str:
    from difflib import unified_diff

    one, other = (text.split("\n")[:LINES] for text in (before, after))
    lines = list(unified_diff(one, other, *names, lineterm=""))
    more = [f"[{len(lines) - DIFF_LINES} more lines differ]"] if len(lines) > DIFF_LINES else []
    return _cut("\n".join([*lines[:DIFF_LINES], *more]))


def _cut(text: str) -> str:
    shown = "\n".join(text.split("\n")[:LINES])[:SHOWN]
    return text if shown == text else f"{shown}\n[{len(text) - len(shown):,} more characters]"
