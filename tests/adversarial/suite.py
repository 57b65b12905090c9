"""The hostile and honest programs under cases/, what each must get, and one run of all of them in real containers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import Config, parse
from orchestrator.evaluation import Prepared, SandboxEvaluator, Submission, prepare
from orchestrator.records import Digest, Verdict, digest
from tests.support.checkout import CACHE

FOLDER = Path(__file__).parent / "cases"
CONTROL = "honest_linear"
CONTROL_EVERY = 8
EXPECTATION = re.compile(rb"# expect(?:\[(\w+)\])?: ([\w|]+) ([\w|]+) ?(.*)")
MIB = 1 << 20
SETTINGS = {
    "name": "adversarial",
    "protocol": {"dataset": "fashion-mnist", "train_samples": 512, "validation_samples": 200},
    "prompt": {"task": "fashion-mnist"},
    "llm": {"model": {"source": "none"}},
}
DEADLINES = {"import": 10, "instantiate": 10, "forward": 15, "train": 15, "predict": 10}


@dataclass(frozen=True)
class Expectation:
    """The verdict that a case must get, and words that its cause must hold.

    There is more than one state or stage only where two limits race for the program, or the program for one of them.
    """

    states: tuple[str, ...]
    stages: tuple[str, ...]
    words: str


@dataclass(frozen=True)
class Case:
    """One program: its first lines say what it must get, under every runtime or under one by name."""

    path: Path

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    def expectation(self, runtime: str) -> Expectation:
        """Return what the case must get under `runtime`."""
        found = {}
        for line in self.path.read_bytes().split(b"\n")[:3]:
            if match := EXPECTATION.fullmatch(line):
                only, state, stage, words = (part.decode() if part else "" for part in match.groups())
                found[only] = Expectation(tuple(state.split("|")), tuple(stage.split("|")), words)
        return found.get(runtime, found[""])


@dataclass(frozen=True)
class Result:
    """What one case got under a runtime."""

    case: Case
    verdict: Verdict
    runtime: str
    objects: Mapping[Digest, bytes]

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the one that the case's first line asks for."""
        wanted = self.case.expectation(self.runtime)
        cause = self.verdict.cause or ""
        return self.verdict.state in wanted.states and self.verdict.stage in wanted.stages and wanted.words in cause


def cases() -> list[Case]:
    """Return all cases in the order of their names."""
    return [Case(path) for path in sorted(FOLDER.glob("*.py"))]


def config(runtime: str) -> Config:
    """Return the settings of the suite: small limits and short deadlines, so that tripping them takes seconds."""
    gvisor = runtime == "runsc"
    factor = 4 if gvisor else 1  # gVisor's system calls are slow, and its processes weigh more
    limits = {"memory": (3 if gvisor else 1) << 30, "pids": 1024 if gvisor else 64, "tmp": 32 * MIB, "shm": 32 * MIB}
    sandbox = {
        "slots": 2,
        "runtime": runtime,
        "limits": limits | {"tmp_inodes": 500, "nofile": 256},
        "deadlines": {stage: seconds * factor for stage, seconds in DEADLINES.items()},
    }
    return parse(SETTINGS | {"sandbox": sandbox}, origin="adversarial settings")


def run(chosen: Sequence[Case], *, runtime: str) -> Iterator[Result]:
    """Run the chosen cases, with the honest control program among them every so often, and yield each result."""
    settings = config(runtime)
    prepared = prepare(settings.protocol, CACHE)
    control = Case(FOLDER / f"{CONTROL}.py")
    order: list[Case] = []
    for number, case in enumerate(chosen):
        order += [control, case] if number % CONTROL_EVERY == 0 else [case]
    submissions = (
        Submission(candidate_id=f"{number:03d}-{case.name}", source=case.path.read_bytes())
        for number, case in enumerate(order)
    )
    evaluator = SandboxEvaluator(config=settings, prepared=prepared, key=b"a key of this suite only")
    with evaluator:
        for case, evaluation in zip(order, evaluator.evaluate(submissions), strict=True):
            yield Result(case=case, verdict=evaluation.verdict, runtime=runtime, objects=evaluation.objects)


def data_digest(prepared: Prepared) -> str:
    """Return a hash over everything that is mounted into the containers."""
    files = sorted(path for path in prepared.train_dir.rglob("*") if path.is_file())
    return digest(b"".join(path.read_bytes() for path in files))
