"""The server with short time limits and few connections, and raw clients of it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobqueue.web.server.connections.countdown import TimeLimits
from jobqueue.web.server.worker import Worker
from tests.support.serving import Server

CONNECTIONS = 24
OPTIONS = f"-k tests.support.impatient.ImpatientWorker --worker-connections {CONNECTIONS}"
"""For gunicorn. One process of it, because each has connections of its own."""

LIMITS = TimeLimits(head=0.5, idle=2.0, body=0.5, answer=0.5, closing=0.3, closing_at_most=1.0)

HEALTH = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


class ImpatientWorker(Worker):
    """The server's worker class with time limits that a test can wait for."""

    limits = LIMITS


@contextmanager
def clients(server: Server, count: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Open connections, send `first` on each, close them at the end."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            opened.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 15)))
            opened[-1].sendall(first)
        yield opened


def read_answer(client: socket.socket) -> bytes:
    """Return one answer whole and nothing after it, or what there is of it when the connection ends."""
    answer = _read_until(client, b"", lambda answer: answer.endswith(b"\r\n\r\n"), 1)
    lengths = [line.partition(b":")[2] for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    size = len(answer) + int(lengths[0] if lengths else 0)
    return _read_until(client, answer, lambda answer: len(answer) == size, size - len(answer))


def _read_until(client: socket.socket, answer: bytes, is_whole: Callable[[bytes], bool], size: int) -> bytes:
    while not is_whole(answer):
        try:
            received = client.recv(size)
        except ConnectionResetError:
            return answer
        if not received:
            return answer
        answer += received
    return answer


def is_over(client: socket.socket) -> bool:
    """Read all that comes until the server closes the connection, or resets it; then return True."""
    with contextlib.suppress(ConnectionResetError):
        while client.recv(65536):
            pass
    return True
