"""Servers in the place of Redis: one relays to a real server and can be cut, one answers what a test says."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.tls import server_context

CHUNK_BYTES = 65_536
CALL = b"EVALSHA"


class Server(socketserver.ThreadingTCPServer):
    """Listens on a free port of the loopback interface. `connections` counts the clients."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, handler: type[socketserver.BaseRequestHandler], host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), handler)
        self.url = f"redis://{host}:{self.server_address[1]}/0"
        self.connections = 0
        self.ended = 0
        self.closing = threading.Event()

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and count it. `socketserver` calls this when its handler has returned."""
        super().shutdown_request(request)
        self.ended += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve until the end of the block."""
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.closing.set()
            self.shutdown()
            thread.join()
            self.server_close()


class Proxy(Server):
    """Passes bytes between clients and the server at `url_behind`.

    With `cut_answers`, calls of scripts that the server knows still reach it, but instead of an answer the client gets
    the end of the connection. What a new connection asks before its first call is answered, so that a call that is sent
    again arrives. `answers_to_cut` cuts so many answers, whatever they are to. With `away`, every connection ends when
    it is made or used. Connections that are made after `lead_to` reach another server; those that exist still reach the
    old one.
    """

    def __init__(self, url_behind: str, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(_Relay, host, port)
        login, at, _ = urlsplit(url_behind).netloc.rpartition("@")
        self.url = self.url.replace("://", f"://{login}{at}")
        self.lead_to(url_behind)
        self.cut_answers = False
        self.answers_to_cut = 0
        self.away = False
        self.silenced = 0

    def lead_to(self, url_behind: str) -> None:
        """Relay new connections to this server."""
        self.path_behind = urlsplit(url_behind).path

    def silence(self) -> None:
        """Keep every connection that there is open, and pass nothing on it any more."""
        self.silenced = self.connections

    def cuts_answer(self, request: bytes) -> bool:
        """Whether the answer to a request, which has just arrived, is to be cut."""
        if self.answers_to_cut:
            self.answers_to_cut -= 1
            return True
        return self.cut_answers and CALL in request


class TlsProxy(Proxy):
    """A proxy that speaks TLS with its clients, as `localhost`, with the certificate in a folder."""

    def __init__(self, url_behind: str, folder: Path) -> None:
        super().__init__(url_behind)
        self.context = server_context(folder)
        self.url = self.url.replace("redis://", "rediss://").replace("127.0.0.1", "localhost")

    def get_request(self) -> tuple[socket.socket, Any]:
        accepted, address = super().get_request()
        return self.context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False), address


class _Relay(socketserver.BaseRequestHandler):
    server: Proxy
    request: socket.socket
    latest = b""

    def handle(self) -> None:
        self.server.connections += 1
        number = self.server.connections
        with socket.socket(socket.AF_UNIX) as behind:
            behind.connect(self.server.path_behind)
            while self._relay(behind):
                if number <= self.server.silenced:
                    self.server.closing.wait()
                    return

    def _relay(self, behind: socket.socket) -> bool:
        """Relay one chunk. Return whether there may be more."""
        readable, _, _ = select.select([self.request, behind], [], [], 0.02)
        if self.server.away or self.server.closing.is_set():
            return False
        if self.request in readable:
            self.latest = _copy(self.request, behind)
            return bool(self.latest)
        if behind in readable:
            return not self.server.cuts_answer(self.latest) and bool(_copy(behind, self.request))
        return True


def _copy(source: socket.socket, target: socket.socket) -> bytes:
    """Pass a chunk on and return it; nothing when one of the sockets has ended."""
    try:
        chunk = source.recv(CHUNK_BYTES)
        target.sendall(chunk)
    except OSError:
        return b""
    return chunk


class ScriptedServer(Server):
    """Answers each command with the line that `answer` returns for it; None lets the client wait."""

    def __init__(self, answer: Callable[[str], str | None]) -> None:
        super().__init__(_ScriptedConnection)
        self.answer = answer
        self.received: list[str] = []


class _ScriptedConnection(socketserver.StreamRequestHandler):
    server: ScriptedServer

    def handle(self) -> None:
        self.server.connections += 1
        while command := self._read_command():
            self.server.received.append(command)
            line = self.server.answer(command)
            if line is None:
                self.server.closing.wait()
                return
            self.wfile.write(f"{line}\r\n".encode())

    def _read_command(self) -> str | None:
        """Return the words of a command in Redis's protocol; None when the client has disconnected."""
        head = self.rfile.readline()
        if not head:
            return None
        words = []
        for _ in range(int(head[1:])):
            length = int(self.rfile.readline()[1:])
            words.append(self.rfile.read(length + 2)[:-2].decode())
        return " ".join(words)
