"""What there is on this machine to run candidates with: the engine, its parts, and what it lacks."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.errors import InfrastructureError
from orchestrator.sandbox.cgroup import removable
from orchestrator.sandbox.engine import Engine, opened
from orchestrator.sandbox.session import Sandbox
from orchestrator.sections import SandboxConfig

PROCESSORS = {"x86_64", "amd64"}  # for which the image's wheels and the seccomp profile are

RUNC = {(1, 2): 8, (1, 3): 3}  # CVE-2025-31133, CVE-2025-52565, CVE-2025-52881; those of 2024 are older

TOOLKIT = {(1, 17): 8}  # CVE-2025-23266

VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")

STAY = "stay until the machine restarts, one for each container: this user may not remove them"


@dataclass(frozen=True)
class Fact:
    """Something about this machine that no probe decides; `present` is None where it does not matter."""

    name: str
    value: str
    present: bool | None


def machine(engine: Engine | None = None, *, sandbox: SandboxConfig | None = None) -> list[Fact]:
    """Describe the engine, one that is open or else the environment's, and what this machine lacks.

    Whether gVisor starts is tried with the image of `sandbox`, if that is given.

    Raises:
        InfrastructureError: no engine answers.
    """
    with opened(engine) as ours:
        info, parts, address = ours.info(), ours.components(), ours.endpoint
        gvisor = _gvisor(ours, info.runtimes, sandbox)
    options = " ".join(info.security)
    cleared, processor = removable(info.cgroup_driver, rootless=info.rootless), str(info.architecture)
    runtimes = sorted(name for name in info.runtimes if "." not in name)
    return [
        Fact("engine", f"{info.version} at {address}", present=True),
        Fact("containerd", parts.get("containerd", "version not stated"), present=None),
        floored("runc", parts.get("runc", ""), RUNC),
        Fact("processor", processor, present=processor in PROCESSORS),
        Fact("kernel", str(info.kernel), present=None),
        Fact("cgroups", f"v{info.cgroup_version}, driver {info.cgroup_driver}", present=None),
        Fact("empty groups", "removed" if cleared else STAY, present=cleared),
        Fact("runtimes", ", ".join(runtimes), present=True),
        gvisor,
        _option("seccomp", options),
        _option("AppArmor", options),
        _option("SELinux", options),
        Fact(
            "user namespaces", "remapped" if "name=userns" in options else "missing", present="name=userns" in options
        ),
        Fact("GPU", _first_line("nvidia-smi", "-L"), present=shutil.which("nvidia-smi") is not None),
        floored("NVIDIA toolkit", _first_line("nvidia-ctk", "--version"), TOOLKIT),
    ]


def _gvisor(engine: Engine, runtimes: Iterable[str], sandbox: SandboxConfig | None) -> Fact:
    """Say whether gVisor is there: engines list runtimes that are only registered."""
    if "runsc" not in runtimes:
        return Fact("gVisor", "missing", present=False)
    if sandbox is None:
        return Fact("gVisor", "registered as runsc; not tried", present=None)
    trial = sandbox.model_copy(update={"runtime": "runsc"})
    try:
        with Sandbox(trial, owner="a look at gVisor", engine=engine) as ours, ours.parser(shingle=1) as parser:
            parser.parse(b"", complete=False)
    except InfrastructureError as error:
        return Fact("gVisor", f"registered as runsc, and does not start: {error}", present=False)
    return Fact("gVisor", "runsc starts", present=True)


def floored(name: str, stated: str, mended: Mapping[tuple[int, int], int]) -> Fact:
    """Return a version, and whether it lacks what mended known ways out of a container.

    `mended` holds, for each series that it came to, the first release with it; later series have it, earlier ones not.
    """
    found = VERSION.search(stated)
    if found is None:
        return Fact(name, stated or "version not stated", present=False)
    major, minor, patch = (int(part) for part in found.groups())
    series = (major, minor)
    if series > max(mended) or patch >= mended.get(series, patch + 1):
        return Fact(name, stated, present=True)
    first = ", ".join(f"{one}.{two}.{least}" for (one, two), least in mended.items())
    return Fact(name, f"{stated}; known ways out are mended in {first}, or by your distribution", present=False)


def _option(name: str, options: str) -> Fact:
    present = f"name={name.lower()}" in options
    return Fact(name, "enabled" if present else "missing", present=present)


def _first_line(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return "missing"
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except subprocess.TimeoutExpired:
        return "does not answer"
    return (done.stdout or done.stderr).strip().partition("\n")[0] or "no answer"
