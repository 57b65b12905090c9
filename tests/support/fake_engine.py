"""An engine of a few prepared answers on a Unix socket, which notes what it is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest

VERSION = {"Version": "28.5.2", "ApiVersion": "1.41", "MinAPIVersion": "1.24"}


@dataclass
class FakeEngine:
    """Answers by the end of what is asked (`POST /containers/x/kill`): a status and a body; 404 to anything else."""

    answers: dict[str, tuple[int, Any]] = field(default_factory=lambda: {"GET /version": (200, VERSION)})
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def answer(self, asked: str, body: bytes) -> tuple[int, Any]:
        """Note a request with what it brought, and return what to answer."""
        self.asked.append((asked, json.loads(body) if body else None))
        method, _, path = asked.partition(" ")
        for name, answer in self.answers.items():
            if name.startswith(f"{method} ") and path.endswith(name.partition(" ")[2]):
                return answer
        return 404, {"message": "there is no such thing"}


@contextmanager
def fake_engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """Let the environment name an engine that is none."""
    engine = FakeEngine()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, said = engine.answer(f"{self.command} {self.path.partition('?')[0]}", body)
            data = b"" if said is None else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_DELETE = do_GET  # noqa: N815 - as the server's class wants them

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    path = folder / "engine.sock"
    with ThreadingUnixStreamServer(str(path), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        try:
            yield engine
        finally:
            server.shutdown()
            thread.join()
