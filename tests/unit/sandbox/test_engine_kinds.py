"""Every kind of engine that people have works, or is refused in one sentence that says what to do."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.sandbox import Engine, Sandbox
from orchestrator.sandbox.engine_address import address
from orchestrator.sandbox.host import machine
from orchestrator.sandbox.tls_bridge import Bridge
from orchestrator.sections import SandboxConfig
from tests.support.fake_engine import VERSION, fake_engine

PODMAN = VERSION | {
    "Version": "5.4.2",
    "Components": [
        {"Name": "Podman Engine", "Version": "5.4.2", "Details": {"APIVersion": "5.4.2"}},
        {"Name": "OCI Runtime (crun)", "Version": "crun version 1.21"},
    ],
}


def test_podman_is_refused_by_name_and_not_as_an_old_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_engine(tmp_path, monkeypatch) as fake:
        fake.answers["GET /version"] = (200, PODMAN)
        with pytest.raises(InfrastructureError, match=r"is Podman 5\.4\.2, .*: use Docker"), Engine():
            pass


def test_an_engine_over_ssh_is_another_machines() -> None:
    with pytest.raises(InfrastructureError, match="ssh://me@there is another machine's"):
        address({"DOCKER_HOST": "ssh://me@there"})


@contextmanager
def settings(folder: Path, monkeypatch: pytest.MonkeyPatch, content: Mapping[str, Any]) -> Iterator[None]:
    """Let `content` be the user's Docker settings."""
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    yield


def test_a_context_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with settings(tmp_path, monkeypatch, {"currentContext": "gone"}):
        with pytest.raises(InfrastructureError, match="no Docker context gone"):
            address({})
        with pytest.raises(InfrastructureError, match="no Docker context other"):
            address({"DOCKER_CONTEXT": "other"})
        assert address({"DOCKER_CONTEXT": "default"}) == {}


# reason: the SDK warns of it, too
@pytest.mark.filterwarnings("ignore:docker-credential-nobody-has-this")
def test_a_credential_helper_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = tmp_path / "context"
    context.touch()
    with settings(tmp_path, monkeypatch, {"credsStore": "nobody-has-this"}), fake_engine(tmp_path, monkeypatch) as fake:
        fake.answers["POST /build"] = (200, {"stream": "done"})
        with Engine() as engine, context.open("rb") as stream:
            with pytest.raises(InfrastructureError, match=r"docker-credential-nobody-has-this .*remove credsStore"):
                engine.images.build(stream, tag="t", arguments={}, labels={}, log=lambda _: None)
            assert "nobody-has-this" in (engine.images.pull("python:3.11") or "")


def test_an_engine_that_does_not_see_this_machines_files_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_engine(tmp_path, monkeypatch) as fake:
        said = 'invalid mount config for type "bind": bind source path does not exist: /home/me/.cache/train'
        fake.answers["POST /containers/create"] = (400, {"message": said})
        with (
            Engine() as engine,
            pytest.raises(InfrastructureError, match=r"/home/me.*does not see this machine's file"),
        ):
            engine.create({}, name="n")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 with its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


def test_a_stream_over_tls_is_read_and_written_at_the_same_time(certificate: Path) -> None:
    """The far end answers every byte while more come: whoever first sends all and then reads would hang."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    client = ssl.create_default_context(cafile=str(certificate.with_suffix(".crt")))
    data = bytes(range(256)) * 40_000

    def echo(listener: socket.socket) -> None:
        taken, _ = listener.accept()
        with server.wrap_socket(taken, server_side=True) as secure:
            while piece := secure.recv(1 << 16):
                secure.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=echo, args=(listener,))
        thread.start()
        bridge = Bridge(
            client.wrap_socket(socket.create_connection(listener.getsockname()), server_hostname="127.0.0.1")
        )
        writing = bridge.plain.dup()
        writer = threading.Thread(target=writing.sendall, args=(data,))
        writer.start()
        got = bytearray()
        while len(got) < len(data):
            got += bridge.plain.recv(1 << 16)
        bridge.close()
        writer.join()
        writing.close()
        thread.join()
    assert got == data


INFO = {"ServerVersion": "28.5.2", "CgroupDriver": "none", "CgroupVersion": "1", "SecurityOptions": ["name=rootless"]}


def test_a_rootless_engine_that_can_limit_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_engine(tmp_path, monkeypatch) as fake:
        fake.answers["GET /images/i/json"] = (200, {"Id": "i", "Config": {"Labels": {}}})
        fake.answers["GET /info"] = (200, INFO | {"Runtimes": {"runc": {}}})
        refused = pytest.raises(InfrastructureError, match=r"cannot limit memory, .* cgroup v2 and systemd")
        with refused, Sandbox(SandboxConfig(image="i"), owner="me"):
            pass


def test_gvisor_that_is_only_registered_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_engine(tmp_path, monkeypatch) as fake:
        fake.answers["GET /info"] = (200, INFO | {"Runtimes": {"runc": {}, "runsc": {}}})
        (gvisor,) = (fact for fact in machine(sandbox=SandboxConfig(image="i")) if fact.name == "gVisor")
    assert gvisor.present is False
    assert "does not start: there is no image i" in gvisor.value


@pytest.mark.parametrize(
    ("runtime", "said"),
    [
        ({"path": "runsc"}, "daemon.json adds --debug-log=/var/log/runsc/ to its runtimeArgs"),
        ({"path": "runsc", "runtimeArgs": ["--debug-log=/var/log/gvisor/"]}, "its own log is in /var/log/gvisor/ on"),
    ],
)
def test_a_runtime_that_says_nothing_has_a_log_somewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: Mapping[str, Any], said: str
) -> None:
    with fake_engine(tmp_path, monkeypatch) as fake:
        fake.answers["GET /info"] = (200, INFO | {"Runtimes": {"runsc": runtime}})
        with Engine() as engine:
            assert said in engine.log_of("runsc")
