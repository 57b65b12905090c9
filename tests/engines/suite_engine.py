"""A Docker engine of one of Debian's suites, in a root file system of its own, beside the machine's engine."""

from __future__ import annotations

import contextlib
import fcntl
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.faults.engine import Engine
from tests.support.checkout import CACHE

ENTER = Path(__file__).parent / "enter.sh"
PACKAGES = "docker.io,containerd,runc,runsc,iptables,ca-certificates,procps,kmod,passwd"
OLD_INDEX = 'Acquire::Check-Valid-Until "false"'
GVISOR = ["--network=none", "--platform=ptrace", "--oci-seccomp"]
MAKING = 900  # seconds


class SuiteEngine(Engine):
    """The dockerd of a Debian suite; `extra` are options beside those of every engine that tests start."""

    def __init__(self, suite: str, folder: Path, *, extra: tuple[str, ...] = ()) -> None:
        super().__init__(folder)
        self._root = CACHE.resolve() / "engines" / f"{suite}-root"
        self._suite = suite
        self._extra = extra

    def make(self) -> None:
        """Make its root file system, unless that is there: half a minute, and 400 MB from Debian's mirror."""
        if (self._root / "usr/sbin/dockerd").exists():
            return
        self._root.parent.mkdir(parents=True, exist_ok=True)
        command = ["mmdebstrap", f"--aptopt={OLD_INDEX}", "--variant=minbase", f"--include={PACKAGES}"]
        subprocess.run([*command, self._suite, str(self._root)], check=True, capture_output=True, timeout=MAKING)

    def _command(self) -> list[str]:
        command = super()._command()
        runsc = {"runsc": {"path": "/usr/bin/runsc", "runtimeArgs": GVISOR}}
        (self._folder / "dockerd.json").write_text(json.dumps({"runtimes": runsc}))
        inside = ["unshare", "--mount", "bash", str(ENTER), str(self._root), str(CACHE.resolve())]
        return [*inside, *command, "--ip6tables=false", *self._extra]


@contextlib.contextmanager
def suite_engine(suite: str, *, image: str, name: str = "", extra: tuple[str, ...] = ()) -> Iterator[SuiteEngine]:
    """Lend a running engine of a suite that has `image`, and no container; it is ended afterwards.

    Two of one checkout wait for each other.
    """
    folder = CACHE / "engines" / (name or suite)
    folder.mkdir(parents=True, exist_ok=True)
    engine = SuiteEngine(suite, folder, extra=extra)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        engine.make()
        engine.start()
        try:
            engine.load(image)
            engine.clear()
            yield engine
            engine.clear()
        finally:
            engine.stop()
