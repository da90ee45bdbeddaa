"""A small HTTP proxy: it leads every request and every tunnel to one server, whatever name they ask for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.support.hosts import misbehaving


@dataclass
class FakeProxy:
    """Where all connections lead, what the proxy answers instead if anything, and the heads of what it was asked."""

    server_url: str
    answer: bytes = b""
    url: str = ""
    heads: list[str] = field(default_factory=list)

    @property
    def request_lines(self) -> list[str]:
        """The first line of each request."""
        return [head.splitlines()[0] for head in self.heads]

    def variables(self, **more: str) -> dict[str, str]:
        """Return the environment of a host that is behind this proxy."""
        return {"HTTP_PROXY": self.url, "https_proxy": self.url, **more}

    def treat(self, client: socket.socket, _: threading.Event) -> None:
        """Serve one connection."""
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := client.recv(65536)):
                return
            head += piece
        self.heads.append(head.decode("latin-1"))
        if self.answer:
            client.sendall(self.answer)
            return
        port = int(self.server_url.rpartition(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as server:
            if head.startswith(b"CONNECT "):
                client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: proxy\r\n\r\n")
            else:
                method, target, rest = head.split(b" ", 2)
                path = b"/" + target.split(b"/", 3)[3]
                server.sendall(b" ".join((method, path, rest)))
            relay = threading.Thread(target=_copy, args=(client, server), daemon=True)
            relay.start()
            _copy(server, client)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def proxying(server_url: str, answer: bytes = b"") -> Iterator[FakeProxy]:
    """Run a proxy that leads to a server."""
    proxy = FakeProxy(server_url, answer)
    with misbehaving(proxy.treat) as proxy.url:
        yield proxy
