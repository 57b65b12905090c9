"""What one engine does: its versions, doctor's table, honest and hostile programs, and what an interruption leaves.

python -m tests.engines.cell RUNTIME short|long

It runs against the engine that the environment names, and prints one line of JSON.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import click

from orchestrator.errors import InfrastructureError
from orchestrator.evaluation import prepare
from orchestrator.evaluation.doctor import examine
from orchestrator.records import NOT_READ
from orchestrator.sandbox import Engine, Sandbox
from orchestrator.sandbox.cgroup import empty_groups
from orchestrator.sandbox.lease import OWNER
from tests.adversarial.suite import CACHE, cases, config, run

HONEST = ("honest_linear", "honest_convolutions", "honest_prints", "honest_temporary_file")
HOSTILE = (
    *("memory_bomb", "fork_bomb", "endless_init", "output_flood", "kill_process_1", "exit_zero_in_training"),
    *("forged_stage_marks", "segmentation_fault", "network", "write_data", "kernel_surface", "recursion"),
)
SHORT = ("honest_linear", "memory_bomb", "kill_process_1")
DYING = """
import os, signal, sys
from orchestrator.evaluation import prepare
from orchestrator.sandbox import Sandbox
from tests.adversarial.suite import CACHE, config
settings = config(sys.argv[1])
with Sandbox(settings.sandbox, owner="one that is interrupted") as sandbox:
    container = sandbox.supervisor(train=prepare(settings.protocol, CACHE).train_dir, gpu=None)
    print(container.id, container.group.name, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def main(runtime: str, *, short: bool) -> dict[str, Any]:
    """Return what was found; `refused` alone where no container can be started."""
    settings = config(runtime)
    try:
        with Sandbox(settings.sandbox, owner="a look", record=lambda *_, **__: None) as sandbox:
            info, parts = sandbox.engine.info(), sandbox.components()
            sandbox.prove(train=prepare(settings.protocol, CACHE).train_dir)
    except InfrastructureError as error:
        return {"refused": str(error)}
    found: dict[str, Any] = {
        "versions": {name: parts[name] for name in ("Engine", "containerd", "runc", "runsc") if name in parts},
        "cgroups": f"v{info.cgroup_version}, {info.cgroup_driver}",
    }
    if not short:
        readings = [(finding.limit, finding.reading) for finding in examine(settings, cache=CACHE)]
        found["limits"] = [sum(reading == "holds" for _, reading in readings), len(readings)]
        found["other limits"] = [f"{limit}: {reading}" for limit, reading in readings if reading != "holds"]
    chosen = [case for case in cases() if case.name in (SHORT if short else HONEST + HOSTILE)]
    results = list(run(chosen, runtime=runtime))
    for kind, honest in (("honest", True), ("hostile", False)):
        those = [one for one in results if one.case.name.startswith("honest") is honest]
        found[kind] = [sum(one.as_expected for one in those), len(those)]
    found["wrong"] = [
        f"{one.case.name}: {one.verdict.state}, {one.verdict.cause}" for one in results if not one.as_expected
    ]
    found["not read"] = sorted({str(said) for one in results if (said := one.verdict.measured.limits.get(NOT_READ))})
    return found | _interrupted(runtime)


def _interrupted(runtime: str) -> dict[str, Any]:
    """Kill a process that has a container, start another, and say what is left then."""
    died = subprocess.run(
        [sys.executable, "-c", DYING, runtime], capture_output=True, text=True, check=False, timeout=300
    )
    identity, _, group = died.stdout.strip().partition(" ")
    started = died.returncode == -signal.SIGKILL and bool(group)
    with Sandbox(config(runtime).sandbox, owner="the next"):
        pass
    with Engine() as engine:
        info = engine.info()
        left = [one for one in engine.listed(label=OWNER) if one.id == identity]
        groups = [one for one in empty_groups(info.cgroup_driver, rootless=info.rootless) if one == group]
    return {"interrupted": started or died.stderr[-300:], "containers left": len(left), "groups left": len(groups)}


if __name__ == "__main__":
    click.echo(json.dumps(main(sys.argv[1], short=sys.argv[2] == "short")))
