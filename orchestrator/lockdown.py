"""What a container is created from: every flag of the lockdown, in one place. docker/README.md explains each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cgroup import ControlGroup
from orchestrator.lease import labels
from orchestrator.records import Limits

if TYPE_CHECKING:
    import docker


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


def creation(client: docker.DockerClient, spec: Spec, group: ControlGroup) -> dict[str, Any]:
    """Return the arguments of the engine's create call: every flag is explained in docker/README.md."""
    import docker
    from docker.types import DeviceRequest, Mount, Ulimit

    limits = spec.limits
    supervised = spec.mode == "supervise"
    mounts = []
    if spec.train is not None:
        source = str(spec.train.resolve())
        mounts.append(Mount(target="/data", source=source, type="bind", read_only=True, propagation="rprivate"))
    gpus = [DeviceRequest(device_ids=[spec.gpu], capabilities=[["gpu"]])] if spec.gpu else None
    host = client.api.create_host_config(
        runtime=spec.runtime,
        network_mode="none",
        read_only=True,
        tmpfs={"/tmp": f"rw,nosuid,nodev,noexec,mode=1777,size={limits.tmp},nr_inodes={limits.tmp_inodes}"},  # noqa: S108 - inside the container
        cap_drop=["ALL"],
        cap_add=["SETUID", "SETGID", "KILL"] if supervised else [],
        security_opt=["no-new-privileges", f"seccomp={spec.seccomp}"],
        pids_limit=limits.pids,
        mem_limit=limits.memory,
        memswap_limit=limits.memory,
        nano_cpus=int(limits.cpus * 1e9),
        shm_size=limits.shm,
        ipc_mode="private",
        oom_score_adj=900,
        ulimits=[
            Ulimit(name="nofile", soft=limits.nofile, hard=limits.nofile),
            Ulimit(name="core", soft=0, hard=0),
        ],
        cgroup_parent=group.parent,
        log_config=docker.types.LogConfig(type="none"),
        restart_policy={"Name": "no"},
        mounts=mounts,
        device_requests=gpus,
    )
    environment = {
        "HOME": "/tmp",  # noqa: S108 - inside the container
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": str(spec.threads),
        "PYTHONHASHSEED": "0",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
    return {
        "image": spec.image,
        "command": ["python3", "-P", "-s", "-B", "-m", "sandbox_image", spec.mode, "--life", str(spec.life)],
        "user": "0:0" if supervised else "65532:65532",
        "environment": environment,
        "hostname": "sandbox",
        "working_dir": "/",
        "stdin_open": True,
        "host_config": host,
        "name": f"nn-sandbox-{group.name}",
        "labels": labels(owner=spec.owner, life=spec.life),
    }
