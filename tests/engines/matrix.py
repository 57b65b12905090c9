"""The engines that people have, as far as they can be had on this machine, and those that cannot, with why."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.adversarial.suite import config
from tests.engines.suite_engine import suite_engine
from tests.support.checkout import CACHE, CHECKOUT

SECONDS = 1800  # for one engine
TLS_PORT = 23760
Environment = Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """One engine under one runtime; the machine's own if it is of no suite. `instead` says why it is not run here."""

    name: str
    suite: str = ""
    runtime: str = "runc"
    extra: tuple[str, ...] = ()
    tls: bool = False
    short: bool = True
    instead: str = ""

    @contextlib.contextmanager
    def engine(self) -> Iterator[Environment]:
        """Lend the environment that names the engine, which is started for it and ended afterwards."""
        if not self.suite:
            yield {}
            return
        folder, extra = CACHE.resolve() / "engines" / "certificates", self.extra
        if self.tls:
            certify(folder)
            files = {"cacert": "ca.pem", "cert": "server.pem", "key": "server-key.pem"}
            extra += (f"--host=tcp://127.0.0.1:{TLS_PORT}", "--tlsverify")
            extra += tuple(f"--tls{option}={folder / name}" for option, name in files.items())
        name = self.suite + ("-remapped" if any("userns" in option for option in extra) else "")
        with suite_engine(self.suite, image=config("runc").sandbox.image, name=name, extra=extra) as engine:
            over = {
                "DOCKER_HOST": f"tcp://127.0.0.1:{TLS_PORT}",
                "DOCKER_TLS_VERIFY": "1",
                "DOCKER_CERT_PATH": str(folder),
            }
            yield over if self.tls else {"DOCKER_HOST": engine.address}


ROWS = (
    Row("the machine's Docker", short=False),
    Row("the machine's Docker, gVisor", runtime="runsc"),
    Row("Docker of Debian trixie", suite="trixie", short=False),
    Row("Docker of Debian sid", suite="sid", short=False),
    Row("Docker of Debian sid, gVisor", suite="sid", runtime="runsc"),
    Row("Docker of Debian sid, over TLS", suite="sid", tls=True),
    Row("Docker of Debian sid, init by default", suite="sid", extra=("--init",)),
    Row("Docker of Debian sid, user namespaces", suite="sid", extra=("--userns-remap=default",)),
    Row(
        "cgroup v2, systemd",
        instead="needs systemd: seen with Docker 26.1.5 before slices were ended",
    ),
    Row("rootless Docker", instead="needs cgroup v2 and systemd: seen with 26.1.5 before control groups were located"),
    Row("Podman", instead="refused by name (`tests/unit/sandbox/test_engine_kinds.py`)"),
    Row("Docker with SELinux", instead="needs another kernel; data that it withholds is named before a program runs"),
    Row("Docker of a snap", instead="needs snapd; files that it does not see are refused as another machine's"),
)


def run_row(row: Row) -> dict[str, Any]:
    """Return what `tests.engines.cell` found of a row's engine; `failed` if it did not come to an end."""
    command = [sys.executable, "-m", "tests.engines.cell", row.runtime, "short" if row.short else "long"]
    bundles = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}  # they take the place of an engine's own authority
    kept = {name: value for name, value in os.environ.items() if name not in bundles}
    with row.engine() as names:
        environment = kept | {"PYTHONPATH": str(CHECKOUT)} | names
        done = subprocess.run(command, env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=False,
                              timeout=SECONDS)  # fmt: skip
    if done.returncode != 0:
        return {"failed": done.stderr.strip().rpartition("\n")[2]}
    return dict(json.loads(done.stdout))


def certify(folder: Path) -> None:
    """Make an authority, and certificates of an engine and of its client, each for 127.0.0.1."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    new = ("-newkey", "rsa:2048", "-nodes")
    _openssl(folder, "req", "-x509", *new, "-days", "2", "-subj", "/CN=a", "-keyout", "ca-key.pem", "-out", "ca.pem")
    for certificate, key in (("server.pem", "server-key.pem"), ("cert.pem", "key.pem")):
        _openssl(folder, "req", *new, "-subj", "/CN=b", "-keyout", key, "-out", "request")
        signed = ("-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2", "-extfile", "extensions")
        _openssl(folder, "x509", "-req", "-in", "request", *signed, "-out", certificate)


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
