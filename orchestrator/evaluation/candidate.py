"""What happens to a program before anything of it is executed: it is measured and parsed in a container."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.escape import plain
from orchestrator.evaluation.dossier import Dossier
from orchestrator.evaluation.seam import Submission
from orchestrator.records import Candidate, Program, Refusal
from orchestrator.sandbox import Parsed, Parser


@dataclass(frozen=True)
class Intake:
    """Turns submissions into candidates; `complete` restores the parts of the contract that a program lacks."""

    parser: Parser
    source_bytes: int
    complete: bool

    def take(self, submission: Submission, dossier: Dossier) -> tuple[Candidate, bytes | None]:
        """Return the candidate, and the text to run, or None if the candidate was refused; objects go into `dossier`.

        Raises:
            InfrastructureError: no parser container could be started.
        """
        identity, source = submission.candidate_id, submission.source
        if source is None:
            refusal = Refusal(state="no_code", stage="extract", cause="the completion holds no program")
            return Candidate(candidate_id=identity, source=None, refusal=refusal), None
        stored = dossier.put(source)
        refusal_or_parsed = self._parse(source)
        if isinstance(refusal_or_parsed, Refusal):
            return Candidate(candidate_id=identity, source=stored, refusal=refusal_or_parsed), None
        parsed = refusal_or_parsed
        program = Program(
            runs=dossier.put(parsed.program),
            completed=parsed.completed,
            imports=parsed.imports,
            hyperparameters=parsed.hyperparameters,
            tokens=parsed.tokens,
            shingles=dossier.put(parsed.shingles),
        )
        return Candidate(candidate_id=identity, source=stored, program=program), parsed.program

    def unparsed(self, submission: Submission, dossier: Dossier) -> Candidate:
        """Return the candidate as it came, of which no parser said anything."""
        source = submission.source
        stored = None if source is None else dossier.put(source)
        return Candidate(candidate_id=submission.candidate_id, source=stored)

    def _parse(self, source: bytes) -> Refusal | Parsed:
        if len(source) > self.source_bytes:
            cause = f"the source has {len(source)} bytes, more than {self.source_bytes}"
            return Refusal(state="syntax_error", stage="parse", cause=cause)
        parsed = self.parser.parse(source, complete=self.complete)
        if parsed.state == "ok":
            return parsed
        return Refusal(state=parsed.state, stage=parsed.stage or "parse", cause=plain(parsed.cause or ""))
