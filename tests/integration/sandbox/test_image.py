"""The built image in a real container: what it holds, what it lacks, and what the seccomp profile leaves of Linux."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from orchestrator.sandbox import Engine
from orchestrator.sandbox.image import LABEL_RECIPE, LocalImage, ensure, local_image
from tests.support.checkout import CHECKOUT

pytestmark = pytest.mark.docker

TAG = "nn-sandbox:cpu"
SITE = "/usr/local/lib/sandbox"

TRAINING = """
import json, threading
import numpy, torch
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 36, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
images, labels = torch.randn(64, 3, 8, 8), torch.arange(64) % 2
losses = []
for _ in range(60):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(net(images), labels)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
thread = threading.Thread(target=losses.sort)
thread.start()
thread.join()
print(json.dumps({"first": losses[-1], "last": losses[0], "numpy": numpy.__version__}))
"""

VERSIONS = "import json, numpy, torch; print(json.dumps({'torch': torch.__version__, 'numpy': numpy.__version__}))"

PROBES = """
import ctypes, errno, json
libc = ctypes.CDLL(None, use_errno=True)
calls = {
    "ptrace": (101, 0),
    "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
    "io_uring_setup": (425, 1, 0),
    "bpf": (321, 0, 0, 0),
    "keyctl": (250, 0),
    "userfaultfd": (323, 0),
    "perf_event_open": (298, 0, 0, 0, 0, 0),
    "mount": (165, 0, 0, 0, 0, 0),
    "unshare": (272, 0x10000000),
    "setns": (308, 0, 0),
    "open_by_handle_at": (304, 0, 0, 0),
    "fsopen": (430, 0, 0),
    "clone_newuser": (56, 0x10000011, 0, 0, 0, 0),
    "clone3": (435, 0, 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "init_module": (175, 0, 0, 0),
    "chroot": (161, b"/"),
    "socketpair_inet": (53, 2, 1, 0, 0),
    "inet": (41, 2, 1, 0),
    "inet6": (41, 10, 1, 0),
    "netlink": (41, 16, 3, 0),
    "packet": (41, 17, 3, 0),
    "alg": (41, 38, 5, 0),
    "vsock": (41, 40, 1, 0),
    "inet_high_bits": (41, ctypes.c_ulong((1 << 32) + 2), 1, 0),
    "unix": (41, 1, 1, 0),
}
answers = {}
for name, arguments in calls.items():
    ctypes.set_errno(0)
    result = libc.syscall(*arguments)
    answers[name] = "allowed" if result >= 0 else errno.errorcode[ctypes.get_errno()]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


def built() -> LocalImage:
    with Engine() as engine:
        return local_image(engine, TAG)


def run(client: docker.DockerClient, *command: str, runtime: str = "runc", user: str = "10001:10001") -> str:
    """Run a command in a locked-down container of the image and return what it prints."""
    profile = (CHECKOUT / "docker" / "seccomp.json").read_text(encoding="utf-8")
    output: bytes = client.containers.run(
        built().id,
        list(command),
        runtime=runtime,
        user=user,
        network_mode="none",
        read_only=True,
        tmpfs={"/tmp": "size=64m,mode=1777"},  # noqa: S108 - the path inside the container
        cap_drop=["ALL"],
        security_opt=["no-new-privileges", f"seccomp={profile}"],
        remove=True,
    )
    return output.decode()


def python(client: docker.DockerClient, program: str, **options: str) -> Any:
    return json.loads(run(client, "python3", "-I", "-B", "-c", program, **options))


def test_an_unprivileged_user_trains_with_torch(client: docker.DockerClient) -> None:
    result = python(client, TRAINING)
    assert result["last"] < 0.5 * result["first"]


def test_the_image_holds_no_setuid_or_setgid_file(client: docker.DockerClient) -> None:
    found = run(client, "find", "/", "-xdev", "-type", "f", "-perm", "/6000", user="0:0")
    assert found == ""


def test_an_unprivileged_user_owns_and_may_write_nothing_of_the_image(client: docker.DockerClient) -> None:
    foreign = run(client, "find", "/", "-xdev", "-not", "-user", "0", user="0:0")
    writable = run(
        client, "find", "/", "-xdev", "-not", "-type", "l", "-perm", "-o+w", "-not", "-perm", "-1000", user="0:0"
    )
    assert (foreign, writable) == ("", "")


def test_there_is_no_network_but_loopback(client: docker.DockerClient) -> None:
    names = run(client, "python3", "-c", "import os; print(sorted(os.listdir('/sys/class/net')))")
    assert names.strip() == "['lo']"


@pytest.mark.parametrize("runtime", ["runc", "runsc"])
def test_seccomp_denies_what_it_names_on_every_runtime(client: docker.DockerClient, runtime: str) -> None:
    answers = python(client, PROBES, runtime=runtime)
    allowed = {name for name, answer in answers.items() if answer == "allowed"}
    assert allowed == {"unix"}
    assert answers["clone3"] == "ENOSYS"
    assert {answer for name, answer in answers.items() if name not in {"unix", "clone3"}} == {"EPERM"}


def test_threads_start_on_gvisor_under_the_profile(client: docker.DockerClient) -> None:
    program = "import threading; t = threading.Thread(target=print, args=(1,)); t.start(); t.join()"
    assert python(client, program, runtime="runsc") == 1


def test_torch_numpy_and_sandbox_image_come_with_bytecode(client: docker.DockerClient) -> None:
    program = """
import json, pathlib
import numpy, torch, sandbox_image.wire
print(json.dumps([pathlib.Path(module.__cached__).exists() for module in (numpy, torch, sandbox_image.wire, json)]))
"""
    assert python(client, program) == [True] * 4


def test_the_image_was_built_from_this_checkouts_sandbox_image(client: docker.DockerClient) -> None:
    package = CHECKOUT / "sandbox_image"
    here = {path.relative_to(package).as_posix(): path.read_text() for path in package.rglob("*.py")}
    program = f"""
import json, pathlib
root = pathlib.Path("{SITE}/sandbox_image")
print(json.dumps({{str(path.relative_to(root)): path.read_text() for path in root.rglob("*.py")}}))
"""
    assert python(client, program) == here


def test_an_image_says_which_versions_it_holds(client: docker.DockerClient) -> None:
    held = python(client, VERSIONS)
    stated = built().packages
    assert {name: stated[name] for name in held} == held


def test_an_unchanged_image_is_not_built_again(client: docker.DockerClient, tmp_path: Path) -> None:
    said: list[str] = []
    before = built().id
    assert client.images.get(before).labels[LABEL_RECIPE]
    with Engine() as engine:
        assert ensure(engine, "cpu", TAG, cache=tmp_path, log=said.append) == before
    assert said == [f"{TAG} is up to date"]
