"""Which valid candidates enter the corpus: above the threshold, novel, and within the budget, in candidate order."""

from __future__ import annotations

from orchestrator.corpus import Index
from orchestrator.corpus.novelty import Sketch
from orchestrator.records import Novelty, Rule, Tally


class Admission:
    """Decides about the valid candidates of one cycle, one after the other (paper, Section 3 and Appendix A).

    `known` holds the corpus before the cycle and is only read. Of the cycle's own programs all valid ones are compared
    with, or with `only_admitted` those alone.
    """

    def __init__(self, rule: Rule, *, known: Index, fresh: Index, only_admitted: bool) -> None:
        self._rule = rule
        self._known = known
        self._fresh = fresh
        self._only_admitted = only_admitted
        self._tally = Tally()

    def decide(self, *, candidate_id: str, accuracy: float, shingles: bytes) -> Novelty:
        """Return what becomes of the next valid candidate; `shingles` are little-endian uint64 hashes."""
        sketch = self._known.sketch(shingles)  # both indexes have one configuration
        train = self._known.nearest(sketch)
        generation = self._fresh.nearest(sketch)
        decision = self._rule.decide(self._tally, accuracy=accuracy, near=(train, generation))
        record = Novelty(
            candidate_id=candidate_id,
            accuracy=accuracy,
            train=train,
            generation=generation,
            decision=decision,
            rejection_count=self._tally.rejected if decision == "admitted" else None,
        )
        self.replay(record, sketch)
        return record

    def replay(self, record: Novelty, shingles: bytes | Sketch) -> None:
        """Take over a decision that was made before, so that the next one knows of it."""
        if record.decision == "admitted" or not self._only_admitted:
            self._fresh.add(record.candidate_id, shingles)
        self._tally = self._tally.after(record.decision)
