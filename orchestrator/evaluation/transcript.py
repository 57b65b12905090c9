"""What a container says in the course of one trial, taken down within bounds: every word of it is a claim."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from orchestrator.records import Death, Reply, Stage, StageFailure
from sandbox_image import wire

RUN_STAGES: tuple[Stage, ...] = ("import", "instantiate", "forward", "train", "predict")
STREAMS = {wire.STDOUT: "stdout", wire.STDERR: "stderr"}
CLAIMS = ("parameters", "layers", "operations", "batches", "samples", "passes")
FINGERPRINT = "fingerprint"
SHA256 = re.compile(r"[0-9a-f]{64}")
WORDS = 64  # frames other than output that one trial may hold: an honest one has nine
LARGEST = 1 << 63
KIND_LIMIT, TEXT_LIMIT, PLACES = 200, 2000, 5  # characters of a line and of a text, lines of the traceback
KINDS = {wire.PREDICTIONS: "predictions", wire.READY: "another greeting"}


class BrokenWireError(Exception):
    """The container broke the rules of a trial; the message says how."""


@dataclass
class Testimony:
    """Takes one frame after the other; `stored` is how many bytes of each output stream are kept."""

    stored: int
    stage: Stage = "import"
    death: Death | None = None
    failure: StageFailure | None = None
    predictions: bytes | None = None
    imported: bool = False
    _words: int = 0
    _claims: dict[str, int] = field(default_factory=dict)
    _fingerprint: str | None = None
    _streams: dict[bytes, bytearray] = field(default_factory=lambda: {kind: bytearray() for kind in STREAMS})

    def take(self, frame: wire.Frame) -> bool:
        """Take a frame down; return whether it began the next stage.

        Raises:
            BrokenWireError: the frame has no place here.
            WireError: its payload is not strict JSON.
            ValidationError: its payload has other fields than it must have.
        """
        if frame.kind in self._streams:
            kept = self._streams[frame.kind]
            kept += frame.payload[: max(0, self.stored - len(kept))]
            return False
        self._words += 1
        if self._words > WORDS:
            raise BrokenWireError("more marks and claims than a trial has")
        if frame.kind == wire.STAGE:
            return self._enter(frame)
        self._note(frame)
        return False

    def reply(self) -> Reply:
        """Return the claims."""
        return Reply(
            failure=self.failure,
            death=self.death,
            predictions=self.predictions,
            fingerprint=self._fingerprint,
            **self._claims,
        )

    def output(self) -> dict[str, bytes]:
        """Return what the candidate printed, by stream; streams without a byte are left out."""
        return {STREAMS[kind]: bytes(kept) for kind, kept in self._streams.items() if kept}

    @property
    def log_bytes(self) -> int:
        """Bytes of output that were kept, not all that were printed."""
        return sum(len(kept) for kept in self._streams.values())

    @property
    def truncated(self) -> bool:
        """Whether a stream reached the end of what is kept."""
        return any(len(kept) >= self.stored for kept in self._streams.values())

    def _enter(self, frame: wire.Frame) -> bool:
        said = frame.json()
        if said == {"stage": "import"} and not self.imported:
            self.imported = True
            return False
        following = RUN_STAGES[RUN_STAGES.index(self.stage) + 1 :][:1]
        if not following or not self.imported or said != {"stage": following[0]}:
            raise BrokenWireError(f"an unexpected stage after {self.stage}")
        self.stage = following[0]
        return True

    def _note(self, frame: wire.Frame) -> None:
        if frame.kind == wire.CLAIM:
            self._claim(frame)
        elif frame.kind == wire.ERROR:
            self.failure = _cut(StageFailure.model_validate(frame.json()))
        elif frame.kind == wire.PREDICTIONS and self.stage == "predict":
            self.predictions = frame.payload
        elif frame.kind == wire.DEATH:
            self.death = Death.model_validate(frame.json())
        else:
            raise BrokenWireError(f"{KINDS.get(frame.kind, 'a strange frame')} during {self.stage}")

    def _claim(self, frame: wire.Frame) -> None:
        """Keep a number; if one is claimed twice, the larger counts, since it can only cost the candidate.

        Of fingerprints the first counts; what cannot be one is dropped.
        """
        said = frame.json()
        fingerprint = said.pop(FINGERPRINT, None)
        if self._fingerprint is None and isinstance(fingerprint, str) and SHA256.fullmatch(fingerprint):
            self._fingerprint = fingerprint
        for name, value in said.items():
            if name not in CLAIMS or type(value) is not int or not 0 <= value < LARGEST:
                raise BrokenWireError("a claim that is not known, or is not a count")
            self._claims[name] = max(value, self._claims.get(name, 0))


def _cut(failure: StageFailure) -> StageFailure:
    """Return a failure at the lengths that an honest supervisor keeps to."""
    shorter = {"kind": failure.kind[:KIND_LIMIT], "text": failure.text[:TEXT_LIMIT]}
    where = [place[:KIND_LIMIT] for place in failure.where[-PLACES:]]
    return failure.model_copy(update={**shorter, "where": where})
