"""What a container is created from: every flag of the lockdown, in one place. docker/README.md explains each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.records import Limits
from orchestrator.sandbox.cgroup import ControlGroup
from orchestrator.sandbox.lease import labels

NOWHERE = "127.0.0.1"  # where no server of names is
OOM_SCORE = 900  # where the whole machine runs out of memory, candidates go first
ENTRY = ("python3", "-P", "-s", "-B", "-m", "sandbox_image")
CPUS = Path("/sys/devices/system/cpu")
MASKED = (  # the engine's own, and what tells of the host or of its other processes
    *("/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list"),
    *("/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"),
    *("/proc/cmdline", "/proc/config.gz", "/proc/fs", "/proc/diskstats", "/proc/interrupts", "/proc/bus"),
    *("/proc/modules", "/proc/sys/kernel/random/boot_id", "/sys/devices/virtual/block"),
)
SEALED = "ro,size=4k,mode=0"  # over what nobody needs, and whose work the kernel does outside any quota
# By default glibc gives the memory of large tensors back to the kernel, which clears it anew for each batch: a sixth
# of the time of training. Here blocks below 256 MiB are kept for reuse, and up to 1 GiB that is free at the end.
ALLOCATOR = f"glibc.malloc.mmap_threshold={1 << 28}:glibc.malloc.trim_threshold={1 << 30}"
VARIABLES = frozenset(  # of the environment, set by the image or below; no other may reach a container
    {
        *("HOME", "LANG", "PATH", "USER"),
        *("PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "OMP_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "GLIBC_TUNABLES"),
    }
)


@dataclass(frozen=True)
class Spec:
    """Everything that one container is created from; sizes in bytes, times in seconds."""

    image: str
    mode: str
    runtime: str
    limits: Limits
    life: float
    seccomp: str
    owner: str
    threads: int
    train: Path | None = None
    gpu: str | None = None

    @property
    def supervised(self) -> bool:
        """Whether a supervisor forks a candidate in it, or it is a parser container."""
        return self.mode == "supervise"


def tmp_options(limits: Limits) -> str:
    """Return the mount options of the only place where a candidate may write."""
    return f"rw,nosuid,nodev,noexec,mode=1777,size={limits.tmp},nr_inodes={limits.tmp_inodes}"


def shm_options(limits: Limits) -> str:
    """Return the mount options of shared memory: without a bound on inodes, the kernel takes too long to clear it."""
    return f"rw,nosuid,nodev,noexec,mode=1777,size={limits.shm},nr_inodes={limits.tmp_inodes}"


def added_capabilities(spec: Spec) -> list[str]:
    """Return what the container's first process may do beyond an ordinary one: start, own and end a candidate."""
    return ["SETUID", "SETGID", "KILL"] if spec.supervised else []


def creation(spec: Spec, group: ControlGroup) -> dict[str, Any]:
    """Return the body of the engine API's create call: every flag is explained in docker/README.md."""
    environment = {
        "HOME": "/tmp",  # noqa: S108 - inside the container
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": str(spec.threads),
        "PYTHONHASHSEED": "0",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "GLIBC_TUNABLES": ALLOCATOR,
    }
    return {
        "Hostname": "sandbox",
        "User": "0:0" if spec.supervised else "65532:65532",
        "Tty": False,
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "Cmd": [*ENTRY, spec.mode, "--life", str(spec.life), *(["--gpu"] if spec.gpu else [])],
        "Image": spec.image,
        "NetworkDisabled": False,  # as the engine sees it; HostConfig leaves no network
        "WorkingDir": "/",
        "HostConfig": {**_privileges(spec), **_resources(spec, group), **_devices(spec)},
        "Labels": labels(owner=spec.owner, life=spec.life),
    }


def _privileges(spec: Spec) -> dict[str, Any]:
    added = added_capabilities(spec)
    return {
        "Runtime": spec.runtime,
        "NetworkMode": "none",
        "Dns": [NOWHERE],  # else the engine writes the host's own servers into /etc/resolv.conf
        "DnsSearch": ["."],
        "IpcMode": "private",
        "CgroupnsMode": "private",  # the path of its control group tells of the process that made it
        "ReadonlyRootfs": True,
        "Init": False,  # whatever the engine's own default is: the supervisor is process 1
        "MaskedPaths": [*MASKED, *map(str, CPUS.glob("cpu[0-9]*/thermal_throttle"))],  # as newer engines do
        "CapDrop": ["ALL"],
        **({"CapAdd": added} if added else {}),
        "SecurityOpt": ["no-new-privileges", f"seccomp={spec.seccomp}"],
        "RestartPolicy": {"Name": "no"},
    }


def _resources(spec: Spec, group: ControlGroup) -> dict[str, Any]:
    limits = spec.limits
    return {
        "Tmpfs": {
            "/tmp": tmp_options(limits),  # noqa: S108 - inside the container
            "/dev/shm": shm_options(limits),  # noqa: S108 - the same
            "/dev/pts": SEALED,
            "/dev/mqueue": SEALED,
        },
        "ShmSize": limits.shm,
        "PidsLimit": limits.pids,
        "Memory": limits.memory,
        "MemorySwap": limits.memory,
        "NanoCpus": int(limits.cpus * 1e9),
        "OomScoreAdj": OOM_SCORE,
        "Ulimits": [
            {"Name": "nofile", "Soft": limits.nofile, "Hard": limits.nofile},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
        "CgroupParent": group.parent,
        "LogConfig": {"Type": "none", "Config": {}},
    }


def _devices(spec: Spec) -> dict[str, Any]:
    """Return what the container sees of the host: the training split, and at most one GPU, named explicitly."""
    mounts, gpus = [], []
    if spec.train is not None:
        bind = {"ReadOnly": True, "BindOptions": {"Propagation": "rprivate"}}
        mounts.append({"Target": "/data", "Source": str(spec.train.resolve()), "Type": "bind", **bind})
    if spec.gpu:
        gpus.append({"Driver": "", "Count": 0, "DeviceIDs": [spec.gpu], "Capabilities": [["gpu"]], "Options": {}})
    return {"Mounts": mounts, **({"DeviceRequests": gpus} if gpus else {})}
