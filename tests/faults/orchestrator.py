"""The orchestrator as a process: started, frozen at a point, killed, and started again until it is done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.checkout import CHECKOUT

LONGEST = 400.0  # seconds; no run of the suite takes a quarter of that


@dataclass(frozen=True)
class Ended:
    """How an orchestrator ended: its exit status (negative: the signal) and the last that it said."""

    status: int
    said: str


class Orchestrator:
    """One process that runs or resumes the small cycle in `folder` against the engine at `address`."""

    def __init__(self, folder: Path, *options: str, address: str, environment: Mapping[str, str] | None = None) -> None:
        self._log = folder.with_name(f"{folder.name}.log")
        command = [sys.executable, "-m", "tests.faults.cycle", "--run", str(folder), *options]
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._start = log.tell()
            self._process = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                env=os.environ | {"DOCKER_HOST": address} | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._watchdog = threading.Timer(LONGEST, self._process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def frozen(self) -> bool:
        """Wait until the process stands still at its point; False where it ended before it came there."""
        found = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        return found is not None and found.si_code == os.CLD_STOPPED

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def ended(self) -> Ended:
        """Wait for its end."""
        status = self._process.wait()
        self._watchdog.cancel()
        with self._log.open("rb") as log:
            log.seek(self._start)
            said = log.read().decode("utf-8", "replace")
        return Ended(status=status, said=said)
