"""Which limits hold on this machine: each is applied, read back, and tripped on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.config import Config
from orchestrator.errors import InfrastructureError
from orchestrator.evaluation.dataset import COPIES, images_size, prepare
from orchestrator.evaluation.opening import open_evaluator
from orchestrator.evaluation.seam import Submission
from orchestrator.records import NOT_READ, Limits, Verdict
from orchestrator.sandbox.session import GVISOR_PIDS
from orchestrator.sections import MIB

GVISOR_IMPORT = 60.0  # seconds that the import deadline has at least: gVisor hands out memory slowly
SMALL = {"memory": 768 * MIB, "pids": 64, "nofile": 256, "tmp": 64 * MIB, "tmp_inodes": 500, "shm": 64 * MIB}


@dataclass(frozen=True)
class Finding:
    """One row of the doctor's table."""

    limit: str
    asked: str
    shown: str
    reading: Held
    evidence: str


def examine(config: Config, *, cache: Path) -> Iterator[Finding]:
    """Trip every limit under the configured runtime and yield what was found, limit by limit.

    The limits are made small for it, so that tripping them is quick and hurts nobody: what is examined is whether
    the engine and the kernel enforce what they are given. Under gVisor the process limit keeps its floor. Deadlines
    are the configured ones, which a slow machine's owner has set for it.

    Raises:
        InfrastructureError: no container could be started under that runtime, or a probe could not be tried.
    """
    sandbox, prepared = config.sandbox, prepare(config.protocol, cache)
    import_seconds = max(sandbox.deadlines.import_, GVISOR_IMPORT if sandbox.runtime == "runsc" else 0.0)
    deadlines = sandbox.deadlines.model_copy(update={"import_": import_seconds})
    limits = sandbox.limits.model_copy(update=SMALL)
    if sandbox.runtime == "runsc":
        limits = limits.model_copy(update={"pids": GVISOR_PIDS, "memory": 2048 * MIB})
    # the images must fit: the protocol is not what is examined
    least = COPIES * images_size(prepared, config.protocol) + limits.memory // 2
    limits = limits.model_copy(update={"memory": max(limits.memory, least)})
    small = sandbox.model_copy(update={"limits": limits, "deadlines": deadlines})
    trial = config.model_copy(update={"sandbox": small})
    asked = probes(limits, import_seconds=import_seconds)
    submissions = [Submission(candidate_id=probe.name, source=probe.source) for probe in asked]
    with open_evaluator(trial, cache=cache, prepared=prepared) as evaluator:
        for probe, evaluation in zip(asked, evaluator.evaluate(submissions), strict=True):
            verdict = evaluation.verdict
            if verdict.state == "quarantined":
                raise InfrastructureError(f"{probe.name}: {verdict.cause}")
            yield Finding(
                limit=probe.name,
                asked=probe.asked,
                shown=probe.shown(verdict),
                reading=probe.reading(verdict, runtime=sandbox.runtime),
                evidence=probe.evidence(verdict),
            )


Held = Literal["holds", "does not hold", "not enforced", "not known"]

FOLDER = Path(__file__).parent / "probes"

PREAMBLE = "preamble.py"

SWITCHES = {"read_only", "seccomp", "no_new_privileges"}

SUPERVISOR_ENDS = {0, 1, 3}  # exit codes of a supervisor: its stream was lost, it failed, its life was over

CPU_TOLERANCE = 1.1  # of the quota: the kernel hands it out in periods of a tenth of a second


@dataclass(frozen=True)
class Probe:
    """One limit: what was asked for, the program that trips it, and what tells that it holds.

    `ends_as` are the states in which a verdict shows by itself that the limit held. `unenforced_by` names a runtime
    that is known not to enforce it, on which the config therefore does not rely. `reads_back` are the names under which
    the engine and the kernel show the limit of a started container. `cpus` is set if the limit shows in nothing but
    the CPU time that the control group counted: so many seconds of it in a second.
    """

    name: str
    asked: str
    source: bytes
    ends_as: tuple[str, ...] = ()
    unenforced_by: str | None = None
    reads_back: tuple[str, ...] = ()
    cpus: float | None = None

    def reading(self, verdict: Verdict, *, runtime: str) -> Held:
        """Say what the verdict shows of the limit."""
        stopped = verdict.state in self.ends_as or "RuntimeError: held:" in (verdict.cause or "")
        if self._undecided(verdict, stopped=stopped):
            return "not known"
        if stopped and (self.cpus is None or (self.burned(verdict) or 0.0) <= self.cpus * CPU_TOLERANCE):
            return "holds"
        return "not enforced" if runtime == self.unenforced_by else "does not hold"

    def _undecided(self, verdict: Verdict, *, stopped: bool) -> bool:
        """Whether something else ended the program than the limit: a slow machine, the supervisor, an unread group."""
        if verdict.state == "timeout":
            return not stopped
        if self.cpus is not None and stopped:
            return not self.burned(verdict)
        return _supervisor_ended(verdict)

    def evidence(self, verdict: Verdict) -> str:
        """Say in a few words what happened when the limit was tripped."""
        said = (verdict.cause or verdict.state).removeprefix("RuntimeError: ")
        if verdict.state == "timeout" and "timeout" not in self.ends_as:
            return f"{said}: too slow to tell; a longer sandbox.deadlines.import may do"
        if _supervisor_ended(verdict):
            return f"{said}: the supervisor ended by itself"
        if self.cpus is None:
            return said
        burned = self.burned(verdict)
        return f"{said}: {'CPU time not read' if burned is None else f'{burned:.2f} CPUs'}"

    def shown(self, verdict: Verdict) -> str:
        """Return the limit as it was read back after the start; a dash if nothing shows it.

        If the kernel should show it and does not, that is said.
        """
        limits = verdict.measured.limits
        values = ["yes" if name in SWITCHES else str(limits[name]) for name in self.reads_back if name in limits]
        kernel = {name for name in self.reads_back if name.startswith("kernel_")}
        if NOT_READ in limits and kernel and not kernel & limits.keys():
            values.append(f"not read: {limits[NOT_READ]}")
        return ", ".join(dict.fromkeys(values)) or "-"

    def burned(self, verdict: Verdict) -> float | None:
        """Return the CPU seconds that the control group counted in each second of the program's last stage.

        None if they could not be read.
        """
        measured = verdict.measured
        seconds, used = measured.seconds.get(verdict.stage), measured.stage_cpu_seconds.get(verdict.stage)
        return used / seconds if used is not None and seconds else None


def _supervisor_ended(verdict: Verdict) -> bool:
    """Whether the container ended without a word by what its own supervisor did, and no limit."""
    silent = (verdict.cause or "").startswith("the container ended with exit code")
    return silent and verdict.measured.exit_code in SUPERVISOR_ENDS


def probes(limits: Limits, *, import_seconds: float) -> tuple[Probe, ...]:
    """Return a probe of every limit and denial that a container is started with; `limits` in bytes and counts."""
    values = limits.model_dump()
    shown = values | {f"{name}_mib": values[name] // MIB for name in ("memory", "tmp", "shm")}
    shown |= {"import_seconds": import_seconds}
    begin = (FOLDER / PREAMBLE).read_text(encoding="utf-8") + f"\nLIMITS = {values!r}\n\n"
    files = sorted(path for path in FOLDER.glob("*.py") if path.name != PREAMBLE)
    return tuple(_read(path.read_text(encoding="utf-8"), begin=begin, shown=shown, cpus=limits.cpus) for path in files)


def _read(text: str, *, begin: str, shown: dict[str, object], cpus: float) -> Probe:
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
        reads_back=tuple(head.get("reads back", "").split()),
        cpus=cpus if "rationed" in head else None,
    )
