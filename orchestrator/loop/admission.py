"""Which valid candidates enter the corpus: above the threshold, novel, and within the budget, in candidate order."""

from __future__ import annotations

from orchestrator.corpus import Index
from orchestrator.corpus.novelty import Sketch
from orchestrator.records import Decision, Neighbour, Novelty
from orchestrator.sections import AdmissionConfig, NoveltyConfig


class Admission:
    """Decides about the valid candidates of one cycle, one after the other (paper, Section 3 and Appendix A).

    `known` holds the corpus before the cycle and is only read. `target` is the number of admissions after which a
    dynamic budget is met and every later candidate is surplus; None for a fixed budget.
    """

    def __init__(
        self, *, novelty: NoveltyConfig, admission: AdmissionConfig, known: Index, fresh: Index, target: int | None
    ) -> None:
        self._novelty = novelty
        self._threshold = admission.threshold
        self._known = known
        self._fresh = fresh
        self._target = target
        self._admitted = 0
        self._rejected = 0

    def decide(self, *, candidate_id: str, accuracy: float, shingles: bytes) -> Novelty:
        """Return what becomes of the next valid candidate; `shingles` are little-endian uint64 hashes."""
        sketch = self._known.sketch(shingles)  # both indexes have one configuration
        train = self._known.nearest(sketch)
        generation = self._fresh.nearest(sketch)
        decision = self._decision(accuracy, train, generation)
        record = Novelty(
            candidate_id=candidate_id,
            accuracy=accuracy,
            train=train,
            generation=generation,
            decision=decision,
            rejection_count=self._rejected if decision == "admitted" else None,
        )
        self.replay(record, sketch)
        return record

    def replay(self, record: Novelty, shingles: bytes | Sketch) -> None:
        """Take over a decision that was made before, so that the next one knows of it."""
        if self._novelty.generation == "valid" or record.decision == "admitted":
            self._fresh.add(record.candidate_id, shingles)
        if record.decision == "admitted":
            self._admitted += 1
            self._rejected = 0
        elif record.decision == "duplicate":
            self._rejected += 1

    def _decision(self, accuracy: float, train: Neighbour | None, generation: Neighbour | None) -> Decision:
        if self._target is not None and self._admitted >= self._target:
            return "surplus"
        if self._threshold is not None and accuracy <= self._threshold:
            return "below_threshold"
        if self._novelty.enabled and any(
            near is not None and near.estimate > self._novelty.tau for near in (train, generation)
        ):
            return "duplicate"
        return "admitted"
