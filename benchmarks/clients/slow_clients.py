"""Clients that do not keep up: `python -m benchmarks.clients.slow_clients PORT JOB_ID HEADS BODIES READERS`.

HEADS connections send half a request, BODIES half a body, and then nothing; READERS ask for a large answer and take
two kilobytes of it a second. Whenever the server closes one, it is opened again. A line `ready` is printed when all
are there.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
import time
from dataclasses import dataclass

from benchmarks.clients.requests import PREFIX, REFERENCE, request_bytes

PIECE_BYTES = 1024
EVERY_SECONDS = 0.5
RECEIVE_BUFFER_BYTES = 4096


@dataclass(frozen=True)
class Kind:
    """What a connection sends, and whether it reads the answer slowly."""

    request: bytes
    reads: bool

    def open(self, port: int) -> socket.socket:
        """Connect and send."""
        connection = socket.socket()
        if self.reads:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        connection.connect(("127.0.0.1", port))
        connection.sendall(self.request)
        connection.setblocking(False)
        return connection


class Clients:
    """All of them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._readers: dict[socket.socket, Kind] = {}

    def add(self, kind: Kind) -> None:
        """Open a connection."""
        connection = kind.open(self._port)
        if kind.reads:
            self._readers[connection] = kind
        else:
            self._selector.register(connection, selectors.EVENT_READ, kind)

    def hold(self, seconds: float) -> None:
        """Open again what the server closes within that time. Then let each reader read a little."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                if not _received(key.fileobj):
                    self._selector.unregister(key.fileobj)
                    self.add(key.data)
        for reader in [each for each in self._readers if not _received(each)]:
            self.add(self._readers.pop(reader))


def main(port: str, job_id: str, *counts: str) -> None:
    """Hold the connections until this process is ended."""
    submit = request_bytes("POST", "/jobs", REFERENCE)
    kinds = (
        Kind(submit[:40], reads=False),
        Kind(submit[: -len(submit) // 4], reads=False),
        Kind(f"GET {PREFIX}/jobs/{job_id} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode(), reads=True),
    )
    clients = Clients(int(port))
    for kind, count in zip(kinds, counts, strict=True):
        for _ in range(int(count)):
            clients.add(kind)
    print("ready", flush=True)
    parent = os.getppid()
    while os.getppid() == parent:  # it ends with whoever has started it, however that ends
        clients.hold(EVERY_SECONDS)


def _received(connection: object) -> bool:
    """Whether the connection goes on. What has come is thrown away; one that has ended is closed."""
    assert isinstance(connection, socket.socket)
    try:
        if connection.recv(PIECE_BYTES):
            return True
    except BlockingIOError:
        return True
    except ConnectionError:
        pass
    connection.close()
    return False


if __name__ == "__main__":
    main(*sys.argv[1:])
