"""A small real HTTP server that plays the API, or a host of programs, and answers as the test says."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.hosts import misbehaving

JOB_ID = "(the id in the path)"
"""In a body, stands for the id in the path of the request: `/jobs/<id>/<verb>`."""


@dataclass(frozen=True)
class Request:
    """A request, the port that it came from, and when it came (monotonic, seconds)."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    port: int
    at: float = field(default_factory=time.monotonic)

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """An answer. `pieces` are sent after the body, each once it is made. `length` overrides the announced length, and
    nothing is announced with `unannounced`.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Iterable[bytes] = ()
    length: int | None = None
    unannounced: bool = False


def in_json(content: object, status: int = 200) -> Reply:
    """Return an answer with a JSON body."""
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


class FakeServer:
    """Answers every request with what `answer` returns for it, and records the requests."""

    def __init__(self, answer: Callable[[Request], Reply], port: int = 0, host: str = "127.0.0.1") -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.closed = threading.Event()
        self._http = _Http((host, port), _Handler)
        self._http.fake = self
        self.port = self._http.server_port
        self.url = f"http://{host}:{self.port}"

    def hang(self) -> Reply:
        """Answer nothing until the test is over."""
        self.closed.wait()
        return Reply(500)

    def drip(self, byte_count: int, pause_seconds: float) -> Iterator[bytes]:
        """Yield that many single bytes, slowly; end early when the test is over."""
        for _ in range(byte_count):
            yield b"x"
            if self.closed.wait(pause_seconds):
                return

    def start(self) -> None:
        """Serve from a thread."""
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def speak_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS on every connection."""
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)

    def close(self) -> None:
        """Stop serving."""
        self.closed.set()
        self._http.shutdown()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    fake: FakeServer
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: clients of these tests hang up at any moment."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits until its headers are acknowledged, 40 ms later
    server: _Http

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        port = int(self.client_address[1])
        request = Request(self.command, self.path, {**self.headers}, body, port)
        self.server.fake.requests.append(request)
        self._send(self.server.fake.answer(request))

    def _send(self, reply: Reply) -> None:
        body = reply.body.replace(JOB_ID.encode(), self.path.rpartition("/")[0].rpartition("/")[2].encode())
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        length = len(body) if reply.length is None else reply.length
        if reply.status not in (204, 304) and not reply.unannounced:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        for piece in reply.pieces:
            self.wfile.write(piece)
        self.close_connection = reply.unannounced or length != len(body)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  # the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def serving(answer: Callable[[Request], Reply], host: str = "127.0.0.1", port: int = 0) -> Iterator[FakeServer]:
    """Run a server at an address of this machine; it is closed at the end."""
    server = FakeServer(answer, port, host)
    server.start()
    try:
        yield server
    finally:
        server.close()


def serving_bytes(reply: bytes) -> AbstractContextManager[str]:
    """Run a server that sends these bytes on every connection, HTTP or not, and hangs up; yield its URL."""

    def answer(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(reply)

    return misbehaving(answer)


@contextmanager
def nobody() -> Iterator[str]:
    """Yield a URL where connections are refused."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
