"""A way to a server whose connections can fall silent: they stay open and pass nothing any more."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.support.hosts import misbehaving


@dataclass
class Way:
    """The way to a server. `silence` is for the connections that there are by then; later ones work."""

    server_url: str
    url: str = ""
    connection_count: int = 0
    silent: set[int] = field(default_factory=set)

    def silence(self) -> None:
        """Let the connections pass nothing any more."""
        self.silent = set(range(self.connection_count))

    def lead(self, client: socket.socket, over: threading.Event) -> None:
        """Pass on what comes on a connection."""
        number, self.connection_count = self.connection_count, self.connection_count + 1
        with socket.create_connection(("127.0.0.1", int(self.server_url.rpartition(":")[2]))) as server:
            threading.Thread(target=self._copy, args=(number, server, client), daemon=True).start()
            self._copy(number, client, server)
            if number in self.silent:
                over.wait()

    def _copy(self, number: int, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while (piece := source.recv(65536)) and number not in self.silent:
                target.sendall(piece)
            if number not in self.silent:
                target.shutdown(socket.SHUT_WR)


@contextmanager
def leading_to(server_url: str) -> Iterator[Way]:
    """A way to a server."""
    way = Way(server_url)
    with misbehaving(way.lead) as way.url:
        yield way
