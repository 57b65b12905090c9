"""Small programs that each trip one limit from the inside, and how to tell from the verdict that it holds.

A probe is a candidate like any other and takes the same path. It ends with `held: …` where the limit stopped it and
with `NOT HELD: …` where it did not; a limit that ends the program instead shows in the verdict's state.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Literal

from orchestrator.records import Limits, Verdict

Held = Literal["holds", "does not hold", "not enforced"]

PREAMBLE = """\
import ctypes, errno, os, resource, signal, socket, sys, threading, time
import torch
import torch.nn as nn

LIBC = ctypes.CDLL(None, use_errno=True)

class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device): ...
    def forward(self, x): ...
    def train_setup(self, prm): ...
    def learn(self, train_data): ...

def supported_hyperparameters(): return {"lr", "momentum"}

def held(why): raise RuntimeError(f"held: {why}")

def not_held(why): raise RuntimeError(f"NOT HELD: {why}")

def refused(action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return None

def call(number, *arguments):
    if LIBC.syscall(number, *arguments) != -1:
        return
    raise OSError(ctypes.get_errno(), "refused")

def all_refused(attempts):
    answers = {name: refused(*attempt) for name, attempt in attempts.items()}
    let_through = [name for name, answer in answers.items() if answer is None]
    if let_through:
        not_held(", ".join(let_through))
    held(", ".join(f"{name} {answer}" for name, answer in answers.items()))

"""


@dataclass(frozen=True)
class Probe:
    """One limit: what was asked for, the program that trips it, and what tells that it holds.

    `ends_as` is the state in which a verdict shows by itself that the limit held. `unenforced_by` names a runtime
    that is known not to enforce it, on which the config therefore does not rely.
    """

    name: str
    asked: str
    body: str
    ends_as: tuple[str, ...] = ()
    unenforced_by: str | None = None

    def source(self) -> bytes:
        """Return the whole program."""
        return (PREAMBLE + textwrap.dedent(self.body).lstrip()).encode()

    def reading(self, verdict: Verdict, *, runtime: str) -> Held:
        """Say what the verdict shows of the limit."""
        cause = verdict.cause or ""
        if verdict.state in self.ends_as or "RuntimeError: held:" in cause:
            return "holds"
        return "not enforced" if runtime == self.unenforced_by else "does not hold"


def probes(limits: Limits, *, import_seconds: float) -> tuple[Probe, ...]:
    """Return a probe of every limit and denial that a container is started with; `limits` in bytes and counts."""
    return (*_resources(limits, import_seconds), *_files(limits), *_denials(), *_identity())


def _resources(limits: Limits, import_seconds: float) -> tuple[Probe, ...]:
    mib = 1 << 20
    return (
        Probe(
            "memory",
            f"{limits.memory // mib} MiB",
            "kept = []\nwhile True: kept.append(torch.ones(1 << 22))",
            ends_as=("out_of_memory",),
        ),
        Probe(
            "swap",
            "none beyond memory",
            f"""
            kept = bytearray()
            for _ in range({limits.memory // (16 * mib)} + 64): kept += b"x" * (16 << 20)
            not_held("more memory than the limit could be touched")
            """,
            ends_as=("out_of_memory",),
        ),
        Probe(
            "processes",
            f"{limits.pids}",
            f"""
            for count in range({limits.pids} + 8):
                try:
                    if os.fork() == 0: time.sleep(1000)
                except OSError as error:
                    held(f"{{errno.errorcode[error.errno]}} after {{count}} forks")
            not_held("forked past the limit")
            """,
            ends_as=("killed",),
        ),
        Probe(
            "threads",
            f"{limits.pids}, with processes",
            f"""
            for count in range({limits.pids} + 8):
                try: threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
                except RuntimeError: held(f"refused after {{count}} threads")
            not_held("started threads past the limit")
            """,
            ends_as=("killed",),
        ),
        Probe(
            "open files",
            f"{limits.nofile}",
            f"""
            kept = []
            for count in range({limits.nofile} + 8):
                try: kept.append(os.open("/dev/null", os.O_RDONLY))
                except OSError as error: held(f"{{errno.errorcode[error.errno]}} after {{count}}")
            not_held("opened files past the limit")
            """,
        ),
        Probe(
            "core dumps",
            "0 bytes",
            """
            soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
            held("limit 0") if hard == 0 else not_held(f"limit {hard}")
            """,
        ),
        Probe(
            "output",
            "killed when flooding",
            'while True: os.write(1, b"x" * 65536)',
            ends_as=("killed",),
        ),
        Probe("stage deadline", f"{import_seconds:g} s", "while True: pass", ends_as=("timeout",)),
    )


def _files(limits: Limits) -> tuple[Probe, ...]:
    fill = """
        count = 0
        try:
            with open("{path}/fill", "wb", buffering=0) as file:
                while count < {limit} + (8 << 20): count += file.write(b"x" * (1 << 20))
        except OSError as error: held(f"{{errno.errorcode[error.errno]}} after {{count >> 20}} MiB")
        not_held(f"wrote {{count >> 20}} MiB")
        """
    return (
        Probe(
            "/tmp size",
            f"{limits.tmp >> 20} MiB",
            fill.format(path="/tmp", limit=limits.tmp),
            ends_as=("out_of_memory",),
        ),
        Probe(
            "/tmp inodes",
            f"{limits.tmp_inodes}",
            f"""
            for count in range({limits.tmp_inodes} + 8):
                try: os.close(os.open(f"/tmp/{{count}}", os.O_CREAT | os.O_WRONLY))
                except OSError as error: held(f"{{errno.errorcode[error.errno]}} after {{count}}")
            not_held("made more files than the limit")
            """,
            unenforced_by="runsc",
        ),
        Probe(
            "shared memory",
            f"{limits.shm >> 20} MiB",
            fill.format(path="/dev/shm", limit=limits.shm),
            ends_as=("out_of_memory",),
            unenforced_by="runsc",
        ),
        Probe(
            "/tmp not executable",
            "noexec",
            """
            import shutil
            shutil.copy("/bin/true", "/tmp/true")
            os.chmod("/tmp/true", 0o755)
            all_refused({"execve": (os.execv, "/tmp/true", ["true"])})
            """,
        ),
        Probe(
            "root file system",
            "read-only",
            """
            paths = ("/", "/usr/lib", "/etc", "/var/tmp", "/run", "/home")
            opened = {path: (os.open, path + "/x", os.O_CREAT | os.O_WRONLY) for path in paths if os.path.isdir(path)}
            all_refused(opened)
            """,
        ),
        Probe(
            "training data",
            "read-only",
            """
            write = os.O_CREAT | os.O_WRONLY
            all_refused({"create": (os.open, "/data/x", write), "labels": (os.open, "/data/labels.npy", os.O_RDWR),
                         "unlink": (os.unlink, "/data/labels.npy")})
            """,
        ),
    )


def _denials() -> tuple[Probe, ...]:
    return (
        Probe(
            "sockets",
            "AF_UNIX only",
            """
            families = {"INET": 2, "INET6": 10, "NETLINK": 16, "PACKET": 17, "ALG": 38, "VSOCK": 40}
            all_refused({name: (socket.socket, number, socket.SOCK_DGRAM) for name, number in families.items()})
            """,
        ),
        Probe(
            "network",
            "none",
            """
            names = sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else []
            not_held(", ".join(names)) if [name for name in names if name != "lo"] else held("only loopback")
            """,
        ),
        Probe(
            "tracing",
            "denied",
            """
            all_refused({"ptrace": (call, 101, 16, os.getppid(), 0, 0),
                         "process_vm_readv": (call, 310, os.getppid(), 0, 0, 0, 0, 0)})
            """,
        ),
        Probe(
            "kernel surface",
            "denied",
            """
            numbers = {"io_uring_setup": 425, "bpf": 321, "keyctl": 250, "add_key": 248, "userfaultfd": 323,
                       "perf_event_open": 298, "kexec_load": 246, "init_module": 175, "open_by_handle_at": 304}
            all_refused({name: (call, number, 0, 0, 0, 0, 0) for name, number in numbers.items()})
            """,
        ),
        Probe(
            "mounts and namespaces",
            "denied",
            """
            flags = 0x10000000  # CLONE_NEWUSER
            all_refused({"mount": (call, 165, b"none", b"/tmp", b"tmpfs", 0, 0), "umount": (call, 166, b"/tmp", 0),
                         "unshare": (call, 272, flags), "setns": (call, 308, 0, 0),
                         "pivot_root": (call, 155, b"/", b"/"), "chroot": (call, 161, b"/tmp")})
            """,
        ),
        Probe(
            "supervisor",
            "out of reach",
            """
            all_refused({"kill": (os.kill, 1, signal.SIGKILL), "stop": (os.kill, 1, signal.SIGSTOP),
                         "mem": (os.open, "/proc/1/mem", os.O_RDONLY), "fd": (os.listdir, "/proc/1/fd")})
            """,
        ),
    )


def _identity() -> tuple[Probe, ...]:
    status = 'status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())\n'
    return (
        Probe(
            "user",
            "not root, for good",
            """
            if 0 in (os.getuid(), os.geteuid(), os.getgid()): not_held("runs as root")
            all_refused({"setuid": (os.setuid, 0), "setgid": (os.setgid, 0)})
            """,
        ),
        Probe(
            "capabilities",
            "none",
            status
            + 'found = {name: int(status.get(name, "0"), 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")}\n'
            + 'not_held(str(found)) if any(found.values()) else held("all sets empty")',
        ),
        Probe(
            "no new privileges",
            "set",
            'value = LIBC.prctl(39, 0, 0, 0, 0)\nheld("set") if value == 1 else not_held(f"prctl gives {value}")',
        ),
        Probe(
            "setuid files",
            "none",
            """
            found = []
            for folder, _, names in os.walk("/"):
                if folder.startswith(("/proc", "/sys")): continue
                for name in names:
                    try: mode = os.lstat(os.path.join(folder, name)).st_mode
                    except OSError: continue
                    if mode & 0o6000 and (mode & 0o170000) == 0o100000: found.append(name)
            not_held(", ".join(found[:5])) if found else held("none found")
            """,
        ),
        Probe(
            "secrets",
            "nothing of the host",
            """
            mounts = open("/proc/self/mountinfo").read()
            known = {"HOME", "LANG", "OMP_NUM_THREADS", "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG", "PATH", "HOSTNAME",
                     "USER", "PYTHONDONTWRITEBYTECODE", "LC_CTYPE"}
            torchs = ("TORCH", "PYTORCH", "KMP", "OMP")
            extra = sorted(name for name in os.environ if name not in known and not name.startswith(torchs))
            bad = extra + [word for word in ("docker.sock", "containerd.sock") if word in mounts]
            not_held(", ".join(bad)) if bad else held("no variable and no socket of the host")
            """,
        ),
    )
