"""A Docker engine of the suite's own: its own socket, data and processes, so that nobody else's containers are hit."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound, NotFound
from requests.exceptions import RequestException
from tenacity import Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

START_SECONDS = 60.0
STOP_SECONDS = 60.0
LOAD_SECONDS = 600
MORTAL = ("setpriv", "--pdeathsig", "TERM")  # it ends with the suite, whatever ends that
OPTIONS = (
    "--bridge=none",
    "--iptables=false",
    "--ip-forward=false",
    "--ip-masq=false",
    "--storage-driver=overlay2",
    "--shutdown-timeout=2",
    "--containerd-namespace=nn-faults",
    "--containerd-plugins-namespace=nn-faults-plugins",
)


class Engine:
    """A dockerd whose data lies in `folder` and stays there, so that the image is copied in once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """What DOCKER_HOST must be to reach it."""
        return f"unix://{self._folder / 'docker.sock'}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*MORTAL, *self._command()], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        patient = Retrying(
            retry=retry_if_exception_type((DockerException, RequestException, OSError)),
            stop=stop_after_delay(START_SECONDS),
            wait=wait_fixed(0.1),
            reraise=True,
        )
        patient(self._ping)

    def _command(self) -> list[str]:
        settings = self._folder / "dockerd.json"  # not the machine's own
        settings.write_text("{}\n")
        places = {"data-root": "data", "exec-root": "exec", "pidfile": "dockerd.pid"}
        command = ["dockerd", f"--host={self.address}", f"--config-file={settings}", *OPTIONS]
        return [*command, *(f"--{option}={self._folder / name}" for option, name in places.items())]

    def stop(self) -> None:
        """End it as a service manager would: it ends its containers first."""
        self._end(signal.SIGTERM)

    def unmount(self) -> None:
        """Take back what engines that were killed have mounted under the folder of an engine that does not run."""
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            place = Path(line.split()[1])
            if place.is_relative_to(self._folder):
                subprocess.run(["umount", str(place)], check=True)

    def kill(self) -> None:
        """End it and its containerd without a chance to do anything; the containers' own processes live on."""
        noted = self._folder / "exec" / "containerd" / "containerd.pid"
        containerd = int(noted.read_text())
        self._end(signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(containerd, signal.SIGKILL)
        gone = Retrying(retry=retry_if_result(bool), stop=stop_after_delay(STOP_SECONDS), wait=wait_fixed(0.05))
        gone(_runs, containerd)
        noted.unlink()  # a dockerd that finds the old one not yet reaped would wait for it in vain

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it take connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def client(self, *, timeout: int = 60) -> Iterator[docker.DockerClient]:
        """Lend a connection to it; `timeout` is in seconds."""
        with contextlib.closing(docker.DockerClient(base_url=self.address, timeout=timeout)) as client:
            yield client

    def load(self, tag: str) -> None:
        """Copy the image `tag` over from the machine's own engine, unless the same one is there."""
        with contextlib.closing(docker.from_env(timeout=LOAD_SECONDS)) as machine:
            image = machine.images.get(tag)
            with self.client(timeout=LOAD_SECONDS) as mine:
                with contextlib.suppress(ImageNotFound):
                    if mine.images.get(tag).id == image.id:
                        return
                mine.images.load(image.save(chunk_size=1 << 22, named=tag))  # type: ignore[arg-type] # it streams

    def containers(self) -> list[dict[str, Any]]:
        """Return everything that the engine knows of its containers, running or not."""
        with self.client() as client:
            return sorted(client.api.containers(all=True), key=lambda one: (one["Created"], one["Id"]))

    def clear(self) -> None:
        """Remove every container, which are all ours."""
        with self.client() as client:
            for one in client.api.containers(all=True):
                with contextlib.suppress(NotFound):
                    client.api.remove_container(one["Id"], force=True, v=True)

    def end_strays(self) -> int:
        """Kill what runs of containers that the engine no longer knows, and return how many these were.

        An engine that is killed while it starts a container loses it: its process runs on until its life ends.
        """
        known = {one["Id"] for one in self.containers()}
        strays = {identity: pid for identity, pid in self._shims().items() if identity not in known}
        for pid in strays.values():
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            for process in (*map(int, children), pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        return len(strays)

    def _shims(self) -> dict[str, int]:
        """Return the pids of the processes that hold this engine's containers, by container id."""
        address, found = str(self._folder / "exec" / "containerd" / "containerd.sock").encode(), {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if address in words and b"-id" in words:
                    found[words[words.index(b"-id") + 1].decode()] = int(folder.name)
        return found

    def _ping(self) -> None:
        assert self._process is not None
        assert self._process.poll() is None, f"dockerd ended; see {self._folder / 'dockerd.log'}"
        with socket.socket(socket.AF_UNIX) as probe:  # the SDK would not close a socket that nobody answers
            probe.connect(str(self._folder / "docker.sock"))
        with self.client(timeout=5) as client:
            client.ping()

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=STOP_SECONDS)
            self._process = None


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextlib.contextmanager
def own_engine(folder: Path, *, image: str) -> Iterator[Engine]:
    """Lend a running engine that holds `image` and no container; nothing of it runs on afterwards.

    Two suites of one checkout wait for each other.
    """
    folder.mkdir(parents=True, exist_ok=True)
    engine = Engine(folder)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        engine.start()
        try:
            engine.load(image)
            engine.clear()
            engine.end_strays()
            yield engine
            engine.clear()
            engine.end_strays()
        finally:
            engine.stop()
            engine.unmount()
