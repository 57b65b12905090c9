"""Process 1 of a container that serves one candidate: it imports torch, forks, relays, and says how the child ended.

It is a convenience and no guard. It holds no secret, and a candidate that took it over would gain nothing: the host
keeps the labels, the clock and the limits.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import os
import resource
import signal
import sys
from typing import Any

from sandbox_image import needs, warm, wire
from sandbox_image.child import told_by_child
from sandbox_image.relay import CHUNK, HOST_IN, Child, Relay, send

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4


def prctl(option: int, value: int) -> None:
    """Set a process attribute; a kernel that refuses is not an error here, since the host checks every limit itself."""
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def supervise(*, life: float, gpu: bool) -> None:
    """Import torch, wait for one job, run it in a child under its own uid, report, and wait to be killed.

    The container ends by itself `life` seconds after its start, or when the host closes the connection; at once, if
    it was given a `gpu` that does not work, which is then no candidate's failure.
    """
    prctl(PR_SET_DUMPABLE, 0)
    arm_watchdog(life)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if (lack := needs.trouble()) is not None:
        sys.exit(lack)
    imported = import_torch()
    if gpu and (trouble := trouble_on("cuda")) is not None:
        sys.exit(f"this container's GPU does not work: {trouble}")
    send(wire.encode_json(wire.READY, imported | {"nofile": files, "data": needs.stamps()}))
    host = wire.Decoder(wire.TO_CONTAINER)
    job, source, rest = _receive_job(host)
    Relay(child=_fork(job, source), host=host, pending=rest, limits=job["log"]).run()
    while os.read(HOST_IN, CHUNK):
        pass


def import_torch() -> dict[str, Any]:
    """Import torch, and all that comes before a candidate's first statement, for a process that forks later.

    No parallel operation runs: after one, a child would hang in OpenMP. Returns the versions.
    """
    with warm.uncollected():
        import numpy.random
        import torch

        import sandbox_image.stages  # noqa: F401 - for the child

        torch.set_num_threads(1)
    gc.freeze()  # neither the collector here nor that of the child walks, and so copies, what is there for good
    return {"torch": torch.__version__, "numpy": numpy.__version__, "python": sys.version.split()[0]}


def arm_watchdog(life: float) -> None:
    """End this process, and with it the container, `life` seconds from now."""
    signal.signal(signal.SIGALRM, lambda *_: os._exit(3))
    signal.setitimer(signal.ITIMER_REAL, life)


def trouble_on(device: str) -> str | None:
    """Return why a tensor cannot be made on `device`, tried in a child: CUDA must not be started before the fork.

    That somebody else has all of its memory just now is no trouble.
    """
    return told_by_child(lambda: _trouble(device)) or None


def _trouble(device: str) -> str:
    import torch

    try:
        torch.zeros(1, device=device)
    except Exception as error:
        return "" if "out of memory" in str(error) else f"{type(error).__name__}: {error}"
    return ""


def _receive_job(host: wire.Decoder) -> tuple[dict[str, Any], bytes, list[wire.Frame]]:
    frames: list[wire.Frame] = []
    while len(frames) < len((wire.JOB, wire.SOURCE)):
        data = os.read(HOST_IN, CHUNK)
        if not data:
            os._exit(0)
        for frame in host.feed(data):
            if frame.kind == wire.WARM:
                warm.import_optimizers()
            else:
                frames.append(frame)
    return frames[0].json(), frames[1].payload, frames[2:]


def _fork(job: dict[str, Any], source: bytes) -> Child:
    frames_read, frames_write = os.pipe()
    images_read, images_write = os.pipe()
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out_write, 1)
        os.dup2(err_write, 2)
        os.dup2(frames_write, 3)
        os.dup2(images_read, 4)
        os.closerange(5, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        _become(int(job["uid"]))
        _serve(job, source)
    for descriptor in (frames_write, images_read, out_write, err_write):
        os.close(descriptor)
    streams = {out_read: wire.STDOUT, err_read: wire.STDERR}
    return Child(pid=pid, frames=frames_read, images=images_write, streams=streams)


def _become(uid: int) -> None:
    """Give up root for good, in the child, before a byte of the candidate is read."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.setsid()
    with contextlib.suppress(OSError), open("/proc/self/loginuid", "w") as login:
        login.write(str(uid))  # once set, a candidate cannot choose under whom the host audits it
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    prctl(PR_SET_DUMPABLE, 1)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir("/tmp")  # the only place a candidate may write


def _serve(job: dict[str, Any], source: bytes) -> None:
    from sandbox_image.stages import Channel, run

    sys.stdout, sys.stderr = _unbuffered(1), _unbuffered(2)
    run(job, source, Channel(frames=3, images=4))
    os._exit(0)


def _unbuffered(descriptor: int) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)
