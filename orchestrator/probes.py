"""Small programs that each trip one limit from the inside, and how to tell from the verdict that it holds.

They stand under data/probes/, one file for each. A probe is a candidate like any other and takes the same path. It ends
with `held: …` where the limit stopped it and with `NOT HELD: …` where it did not; a limit that ends the program instead
shows in the verdict's state.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.records import Limits, Verdict

Held = Literal["holds", "does not hold", "not enforced"]

FOLDER = Path(__file__).parent / "data" / "probes"
PREAMBLE = "preamble.py"
MIB = 1 << 20


@dataclass(frozen=True)
class Probe:
    """One limit: what was asked for, the program that trips it, and what tells that it holds.

    `ends_as` are the states in which a verdict shows by itself that the limit held. `unenforced_by` names a runtime
    that is known not to enforce it, on which the config therefore does not rely.
    """

    name: str
    asked: str
    source: bytes
    ends_as: tuple[str, ...] = ()
    unenforced_by: str | None = None

    def reading(self, verdict: Verdict, *, runtime: str) -> Held:
        """Say what the verdict shows of the limit."""
        if verdict.state in self.ends_as or "RuntimeError: held:" in (verdict.cause or ""):
            return "holds"
        return "not enforced" if runtime == self.unenforced_by else "does not hold"


def probes(limits: Limits, *, import_seconds: float) -> tuple[Probe, ...]:
    """Return a probe of every limit and denial that a container is started with; `limits` in bytes and counts."""
    values = limits.model_dump()
    shown = values | {f"{name}_mib": values[name] // MIB for name in ("memory", "tmp", "shm")}
    shown |= {"import_seconds": import_seconds}
    begin = (FOLDER / PREAMBLE).read_text(encoding="utf-8") + f"\nLIMITS = {values!r}\n\n"
    files = sorted(path for path in FOLDER.glob("*.py") if path.name != PREAMBLE)
    return tuple(_read(path.read_text(encoding="utf-8"), begin=begin, shown=shown) for path in files)


def _read(text: str, *, begin: str, shown: dict[str, object]) -> Probe:
    """Take the head of a probe's file apart: comment lines of the form `# name: value`."""
    head = {}
    for line in text.splitlines():
        if not line.startswith("# "):
            break
        name, _, value = line.removeprefix("# ").partition(": ")
        head[name] = value
    return Probe(
        name=head["limit"],
        asked=head["asked"].format(**shown),
        source=(begin + text).encode(),
        ends_as=tuple(head.get("ends as", "").split()),
        unenforced_by=head.get("unenforced by"),
    )
