"""A small run of the product with real containers, as a program that something happens to at a chosen point.

    python -m tests.faults.cycle --run FOLDER [--at POINT kill|freeze] [--later SECONDS] [--count FILE] [--deaths ...]

Only the language model is a stand-in, behind the real worker protocol. A point is one more thing that the program is
about to do to the world: a request to the engine, a file of the run opened, renamed or removed, a process started.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from orchestrator.config import Config, parse
from orchestrator.errors import OrchestratorError
from orchestrator.loop import Loop, Parts
from orchestrator.loop.assembly import real_parts
from orchestrator.loop.fakes import fake_entry
from orchestrator.progress import Event
from orchestrator.records import Entry
from orchestrator.run import RunFolder, Store, run_lock
from tests.faults.programs import CHUNK
from tests.support.checkout import CACHE

MIB = 1 << 20
CANDIDATES, CYCLES, SEEDS = 4, 2, 2
SETTINGS: dict[str, Any] = {
    "name": "faults",
    "cycles": CYCLES,
    "protocol": {"dataset": "fashion-mnist", "train_samples": 256, "validation_samples": 100},
    "prompt": {"task": "fashion-mnist"},
    "llm": {"model": {"source": "none", "device": "cpu"}},
    "admission": {"threshold": 0.05},
    "budget": {"candidates": CANDIDATES, "chunk": CHUNK, "dynamic_from": None},
    "sandbox": {"slots": 2, "limits": {"memory": 1024 * MIB, "pids": 64, "tmp": 32 * MIB, "shm": 32 * MIB}},
}
ACTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "subprocess.Popen", "http.client.send", "socket.connect"}


def main(arguments: list[str]) -> int:
    """Run or resume, and return the exit status: as `orchestrate cycle` does, but for the stand-in."""
    options = _options(arguments)
    folder: Path = options.run
    folder.mkdir(parents=True, exist_ok=True)
    points = itertools.count(1)
    reached = [0]
    at, what = (int(options.at[0]), options.at[1]) if options.at else (0, "")
    act = _act(what, later=options.later)
    sys.addaudithook(_watch(str(folder.resolve()), points, reached, at=at, act=act))
    try:
        with run_lock(folder):
            run = RunFolder.create(folder, config(), report=_say)
            Loop(run, parts(run, deaths=options.deaths), observe=_observe).run()
    except (OrchestratorError, OSError) as error:
        _say(f"Error: {error}")
        return 1
    if options.count:
        options.count.write_text(str(reached[0]))
    return 0


def config() -> Config:
    """Return the configuration of every run of the suite."""
    return parse(SETTINGS, origin="the fault suite's settings")


def parts(run: RunFolder, *, deaths: list[str]) -> Parts:
    """Return the real parts, but for the language model and the corpus: its first job, or all that follow, may die."""
    real = real_parts(run, cache=CACHE, observe=_observe)

    def command(role: str) -> tuple[str, ...]:
        mortal = ("--deaths", *deaths[1:]) if deaths[:1] == [role] else ()
        return (sys.executable, "-m", "tests.faults.worker", role, *mortal)

    def seeds(store: Store) -> Iterable[Entry]:
        return [fake_entry(number, store, protocol=run.config.protocol.hash()) for number in range(SEEDS)]

    return dataclasses.replace(
        real,
        generator=dataclasses.replace(real.generator, command=command("generate"), pause=0.05),  # type: ignore[type-var]
        trainer=dataclasses.replace(real.trainer, command=command("finetune"), pause=0.05),  # type: ignore[type-var]
        seeds=seeds,
    )


def _watch(
    folder: str, points: Iterable[int], reached: list[int], *, at: int, act: Callable[[], None]
) -> Callable[[str, tuple[Any, ...]], None]:
    """Return an audit hook that counts what the program is about to do, from any thread, and acts at point `at`."""
    counted = iter(points)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ACTS or (event == "open" and str(arguments[0]).startswith(folder)):
            reached[0] = number = next(counted)
            if number == at:
                act()

    return hook


def _act(what: str, *, later: float) -> Callable[[], None]:
    if what == "freeze":
        return lambda: os.kill(os.getpid(), signal.SIGSTOP)
    if later:
        return lambda: threading.Timer(later, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return lambda: os.kill(os.getpid(), signal.SIGKILL)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.cycle")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--at", nargs=2, metavar=("POINT", "ACT"))
    parser.add_argument("--later", type=float, default=0.0, help="seconds from the point to the kill")
    parser.add_argument("--count", type=Path, help="where to write how many points there were")
    parser.add_argument("--deaths", nargs=4, default=[], metavar=("ROLE", "FILE", "TIMES", "AFTER"))
    return parser.parse_args(arguments)


def _observe(event: Event) -> None:
    _say(f"{type(event).__name__} {getattr(event, 'candidate_id', '') or getattr(event, 'text', '')}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
