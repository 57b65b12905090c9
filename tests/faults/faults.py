"""The faults, each at a point that is drawn from a seed; what each comes to is a `Result`."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import docker

from tests.faults.bench import Bench, Result, groups
from tests.faults.engine import Engine
from tests.faults.worker import STEPS

LATEST = 0.95  # of the points: a few more or fewer come with the timing of threads
DELAY = 0.3  # seconds, at the most, from a point to a kill between two points
SMALL = 1 << 20  # bytes of the small file system

Draw = random.Random


def kill_orchestrator(bench: Bench, draw: Draw) -> Result:
    """SIGKILL the orchestrator at a point, or a little after it."""
    kind = "orchestrator killed"
    run, before = _run(bench, draw), groups()
    later = draw.choice((0.0, draw.uniform(0.001, DELAY)))
    first = bench.start(run, "--at", str(_point(bench, draw)), "kill", "--later", f"{later:.3f}").ended()
    found = bench.result(kind, run, first=first, before=before)
    return found if first.status in (0, -signal.SIGKILL) else _noted(found, f"ended with {first.status}")


def kill_generation(bench: Bench, draw: Draw) -> Result:
    """SIGKILL the worker that generates, once: another one takes over."""
    return _kill_worker(bench, draw, kind="LLM worker killed, generating", role="generate", times=1)


def kill_finetuning(bench: Bench, draw: Draw) -> Result:
    """SIGKILL the worker that fine-tunes, once: another one begins anew."""
    return _kill_worker(bench, draw, kind="LLM worker killed, fine-tuning", role="finetune", times=1)


def kill_every_worker(bench: Bench, draw: Draw) -> Result:
    """SIGKILL one worker after the other: past the bound the cycle pauses with an error."""
    role = draw.choice(("generate", "finetune"))
    return _kill_worker(bench, draw, kind="LLM worker killed past the bound", role=role, times=3)


def stop_engine(bench: Bench, draw: Draw) -> Result:
    """End the engine gracefully, which ends its containers, and start it when the orchestrator has given up."""
    return _interrupt_engine(bench, draw, kind="engine stopped", how=Engine.stop, at_once=False)


def kill_engine(bench: Bench, draw: Draw) -> Result:
    """SIGKILL the engine, and start it when the orchestrator has given up."""
    return _interrupt_engine(bench, draw, kind="engine killed", how=Engine.kill, at_once=False)


def restart_engine(bench: Bench, draw: Draw) -> Result:
    """End the engine either way and start it at once."""
    how = draw.choice((Engine.stop, Engine.kill))
    return _interrupt_engine(bench, draw, kind="engine restarted", how=how, at_once=True)


def hang_engine(bench: Bench, draw: Draw) -> Result:
    """Let the engine take connections and answer nothing for longer than a call to it may last."""
    kind = "engine hung"
    run, before = _run(bench, draw), groups()
    running = bench.start(run, *_freeze(bench, draw), environment={"DOCKER_CLIENT_TIMEOUT": "3"})
    if running.frozen():
        with bench.engine.frozen():
            running.thaw()
            first = running.ended()
    else:
        first = running.ended()
    return bench.result(kind, run, first=first, before=before)


def remove_container(bench: Bench, draw: Draw) -> Result:
    """Kill or remove one of the containers through the engine."""

    def act(client: Any, container: dict[str, Any]) -> None:
        if draw.random() < 0.5:
            client.api.kill(container["Id"])
        else:
            client.api.remove_container(container["Id"], force=True)

    return _hit_container(bench, draw, kind="container killed or removed", act=act)


def signal_container(bench: Bench, draw: Draw) -> Result:
    """SIGKILL the first process of one of the containers from the host."""

    def act(client: Any, container: dict[str, Any]) -> None:
        if pid := client.api.inspect_container(container["Id"])["State"]["Pid"]:  # 0 once it has ended
            os.kill(pid, signal.SIGKILL)

    return _hit_container(bench, draw, kind="container killed from the host", act=act)


def fill_disk(bench: Bench, draw: Draw) -> Result:
    """Give the run a small file system that is nearly full, and room when the orchestrator has given up."""
    kind = "file system full"
    run, before = _run(bench, draw), groups()
    needed = sum(path.stat().st_size for path in bench.undisturbed.rglob("*") if path.is_file())
    with small_file_system(run):
        ballast = run / "ballast"
        ballast.write_bytes(b"\0" * (SMALL - int(draw.uniform(0.05, 0.6) * needed)))
        first = bench.start(run).ended()
        ballast.unlink()
        found = bench.result(kind, run, first=first, before=before)
    return found if first.status == 1 and "No space left" in first.said else _noted(found, f"no error: {first}")


def start_two(bench: Bench, draw: Draw) -> Result:
    """Start a second orchestrator on the folder of a living one, which it must name."""
    kind = "two orchestrators"
    run, before = _run(bench, draw), groups()
    running = bench.start(run, *_freeze(bench, draw))
    note = ""
    if running.frozen():
        second = bench.start(run).ended()
        if second.status != 1 or f"pid {running.pid} " not in second.said:
            note = f"the second one ended with {second.status}: {second.said[-300:]}"
        running.thaw()
    found = bench.result(kind, run, first=running.ended(), before=before)
    return _noted(found, note) if note else found


@contextlib.contextmanager
def small_file_system(folder: Path) -> Iterator[None]:
    """Mount a file system of SMALL bytes on `folder`; this needs root, as the engine does."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "faults", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        shutil.rmtree(folder)


def _kill_worker(bench: Bench, draw: Draw, *, kind: str, role: str, times: int) -> Result:
    run, before = _run(bench, draw), groups()
    after = draw.randrange(4 if role == "generate" else STEPS + 2)
    counted = run.with_name(f"{run.name}.deaths")
    first = bench.start(run, "--deaths", role, str(counted), str(times), str(after)).ended()
    found = bench.result(kind, run, first=first, before=before)
    wanted = 0 if times == 1 else 1
    if first.status != wanted or counted.stat().st_size != times or (wanted and "SIGKILL" not in first.said):
        return _noted(found, f"ended with {first.status} after {counted.stat().st_size} deaths: {first.said[-300:]}")
    return found


def _interrupt_engine(bench: Bench, draw: Draw, *, kind: str, how: Callable[[Engine], None], at_once: bool) -> Result:
    run, before = _run(bench, draw), groups()
    running = bench.start(run, *_freeze(bench, draw))
    if running.frozen():
        how(bench.engine)
        if at_once:
            bench.engine.start()
        running.thaw()
        first = running.ended()
        if not at_once:
            bench.engine.start()
    else:
        first = running.ended()
    found = bench.result(kind, run, first=first, before=before)
    return found if first.status in (0, 1) else _noted(found, f"ended with {first.status}: {first.said[-300:]}")


def _hit_container(bench: Bench, draw: Draw, *, kind: str, act: Callable[[Any, dict[str, Any]], None]) -> Result:
    run, before = _run(bench, draw), groups()
    running = bench.start(run, *_freeze(bench, draw))
    if running.frozen():
        alive = [one for one in bench.engine.containers() if one["State"] == "running"]
        if alive:
            with bench.engine.client() as client, _unless_ended():
                act(client, draw.choice(alive))
        running.thaw()
    first = running.ended()
    found = bench.result(kind, run, first=first, before=before)
    return found if first.status in (0, 1) else _noted(found, f"ended with {first.status}: {first.said[-300:]}")


@contextlib.contextmanager
def _unless_ended() -> Iterator[None]:
    """Let a container be that has ended meanwhile, or is just being removed."""
    try:
        yield
    except ProcessLookupError:
        pass
    except docker.errors.APIError as error:
        if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            raise


def _run(bench: Bench, draw: Draw) -> Path:
    return bench.folder / f"run-{draw.getrandbits(48):012x}"


def _point(bench: Bench, draw: Draw) -> int:
    return draw.randint(1, int(bench.points * LATEST))


def _freeze(bench: Bench, draw: Draw) -> tuple[str, str, str]:
    return "--at", str(_point(bench, draw)), "freeze"


def _noted(found: Result, note: str) -> Result:
    return dataclasses.replace(found, note=note)
