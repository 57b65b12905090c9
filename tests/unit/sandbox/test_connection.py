"""Frames arrive whole and bounded, and no end of the wire lets whoever talks over it hang."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.sandbox.connection import (
    ARRIVALS,
    PROSE_LIMIT,
    STILL,
    STREAM_HEADER,
    Arrival,
    Connection,
    demultiplex,
)
from orchestrator.sandbox.engine import Attachment
from sandbox_image import wire
from tests.support.checkout import CHECKOUT

SECONDS = 60.0
READY = wire.encode_json(wire.READY, {})


def piece(payload: bytes, *, stream: int = 1) -> bytes:
    """Return a piece of the engine's stream."""
    return STREAM_HEADER.pack(stream, len(payload)) + payload


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    """Give an open connection and the container's end of it."""
    host, inside = socket.socketpair()
    connection = Connection(decoder=wire.Decoder(wire.FROM_SUPERVISOR), name="test")
    connection.open(Attachment(host, host.dup()))
    yield connection, inside
    connection.close()
    inside.close()


def heard(connection: Connection) -> Arrival:
    arrival = connection.receive(deadline=time.monotonic() + SECONDS)
    assert arrival is not None
    return arrival


def test_a_frame_that_comes_in_pieces_is_received_whole(ends: tuple[Connection, socket.socket]) -> None:
    connection, inside = ends
    assert connection.quiet
    for cut in (READY[:3], READY[3:]):
        inside.sendall(piece(cut))
    arrival = heard(connection)
    assert arrival.frame == wire.Frame(wire.READY, b"{}")
    assert arrival.at <= time.monotonic()


def test_nothing_is_received_past_the_deadline(ends: tuple[Connection, socket.socket]) -> None:
    assert ends[0].receive(deadline=time.monotonic()) is None


def test_what_is_sent_comes_out_inside_and_what_is_not_taken_in_time_is_said(
    ends: tuple[Connection, socket.socket],
) -> None:
    connection, inside = ends
    assert connection.send(b"program", timeout=SECONDS)
    assert inside.recv(100) == b"program"
    assert not connection.send(bytes(1 << 24), timeout=0.01)


def test_what_is_sent_aside_keeps_nobody_from_receiving(ends: tuple[Connection, socket.socket]) -> None:
    connection, inside = ends
    connection.send_aside(bytes(1 << 24), timeout=SECONDS)  # more than the socket holds
    inside.sendall(piece(READY))
    assert heard(connection).frame is not None


def test_the_end_of_the_stream_is_an_arrival(ends: tuple[Connection, socket.socket]) -> None:
    connection, inside = ends
    inside.sendall(piece(READY))
    inside.close()
    assert heard(connection).frame is not None
    last = heard(connection)
    assert (last.frame, last.broken) == (None, None)


def test_a_frame_that_may_not_come_breaks_the_wire_and_says_why(ends: tuple[Connection, socket.socket]) -> None:
    connection, inside = ends
    inside.sendall(piece(wire.encode(wire.PARSED, b"{}")))
    arrival = heard(connection)
    assert arrival.frame is None
    assert "unknown frame kind" in (arrival.broken or "")


def test_prose_is_kept_apart_and_bounded(ends: tuple[Connection, socket.socket]) -> None:
    connection, inside = ends
    for _ in range(3):
        inside.sendall(piece(b"x" * (PROSE_LIMIT // 2 + 1), stream=2))
    inside.sendall(piece(READY))
    assert heard(connection).frame is not None
    assert connection.prose == b"x" * PROSE_LIMIT


def test_frames_that_nobody_takes_yet_are_not_lost(ends: tuple[Connection, socket.socket]) -> None:
    connection, inside = ends
    inside.sendall(piece(READY) * (3 * ARRIVALS))
    assert all(heard(connection).frame is not None for _ in range(3 * ARRIVALS))
    assert connection.quiet


def test_whoever_receives_learns_at_once_that_the_conversation_was_called_off(
    ends: tuple[Connection, socket.socket],
) -> None:
    connection, _ = ends
    with ThreadPoolExecutor(max_workers=1) as threads:
        receiving = threads.submit(connection.receive, deadline=time.monotonic() + SECONDS)
        connection.call_off()
        with pytest.raises(InfrastructureError, match="called off"):
            receiving.result(timeout=SECONDS)


def test_a_connection_that_is_closed_sends_nothing_and_may_be_closed_again(
    ends: tuple[Connection, socket.socket],
) -> None:
    connection, inside = ends
    inside.sendall(piece(READY) * (2 * ARRIVALS))  # its reader waits for somebody who takes them
    connection.close()
    connection.close()
    assert not connection.send(b"x", timeout=SECONDS)


def test_a_piece_that_is_not_whole_stays_in_the_stream() -> None:
    raw = bytearray(piece(b"one") + piece(b"two", stream=2) + piece(b"three")[:-1])
    assert demultiplex(raw) == [(1, b"one"), (2, b"two")]
    assert raw == piece(b"three")[:-1]


@pytest.mark.parametrize("beyond", [0.5, STILL + 1.0])
def test_a_deadline_that_passes_while_the_process_stands_still_is_not_the_containers(beyond: float) -> None:
    program = (
        "import socket, time\n"
        "from orchestrator.errors import InfrastructureError\n"
        "from orchestrator.sandbox.connection import Connection\n"
        "from orchestrator.sandbox.engine import Attachment\n"
        "from sandbox_image import wire\n"
        "host, inside = socket.socketpair()\n"
        "connection = Connection(decoder=wire.Decoder(wire.FROM_SUPERVISOR), name='test')\n"
        "connection.open(Attachment(host, host.dup()))\n"
        "deadline = time.monotonic() + 2.0\n"
        "print('waits', flush=True)\n"
        "try:\n"
        "    print(connection.receive(deadline=deadline))\n"
        "except InfrastructureError as error:\n"
        "    print(error)\n"
        "connection.close()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as waits:
        assert waits.stdout is not None
        assert waits.stdout.readline() == "waits\n"
        waits.send_signal(signal.SIGSTOP)
        threading.Event().wait(2.0 + beyond)
        waits.send_signal(signal.SIGCONT)
        assert "the orchestrator stood still" in waits.stdout.read()
