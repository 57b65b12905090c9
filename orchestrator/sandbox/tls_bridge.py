"""An engine's TLS stream as a plain socket: one that is encrypted cannot be read and written by two threads."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import suppress

CHUNK = 1 << 18  # bytes that are moved at once
JOINING = 5  # seconds in which the thread has to end
LATER = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)


class Bridge:
    """Moves bytes between `secure` and a socket of this process, `plain`, in a thread of its own.

    Either end's closing closes the other.
    """

    def __init__(self, secure: ssl.SSLSocket) -> None:
        self.plain, self._inner = socket.socketpair()
        self._secure = secure
        for end in (self._secure, self._inner):
            end.settimeout(0)
        self._thread = threading.Thread(target=self._move, daemon=True, name="tls")
        self._thread.start()

    def close(self) -> None:
        """Close both ends, and wait for the thread."""
        with suppress(OSError):
            self.plain.shutdown(socket.SHUT_RDWR)
        self.plain.close()
        self._thread.join(timeout=JOINING)

    def _move(self) -> None:
        with self._secure, self._inner, suppress(OSError):
            inward, outward = b"", b""
            while True:
                before = len(inward), len(outward)
                if not inward:
                    with suppress(*LATER):
                        if not (inward := self._secure.recv(CHUNK)):
                            return
                if not outward:
                    with suppress(*LATER):
                        if not (outward := self._inner.recv(CHUNK)):
                            return
                with suppress(*LATER):
                    inward = inward[self._inner.send(inward) :] if inward else inward
                with suppress(*LATER):
                    outward = outward[self._secure.send(outward) :] if outward else outward
                if before == (len(inward), len(outward)):
                    self._wait(inward=bool(inward), outward=bool(outward))

    def _wait(self, *, inward: bool, outward: bool) -> None:
        """Wait until one end gives or takes something; an encrypted end may have to read before it can send."""
        poll = select.poll()
        poll.register(self._secure, select.POLLIN * (not inward) | select.POLLOUT * outward)
        poll.register(self._inner, select.POLLOUT * inward | select.POLLIN * (not outward))
        poll.poll()
