"""Whatever Redis does, a call ends within the time limit: all faults at once, each with a connection of its own."""

from __future__ import annotations

import itertools
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jobqueue.errors import StoreUnavailable
from jobqueue.queue.connection import Connection, connect
from jobqueue.queue.transport import names
from jobqueue.queue.transport.limits import current, limited
from jobqueue.queue.transport.names import Names
from jobqueue.queue.transport.sockets import LimitedSocket
from tests.support.hosts import swallowing
from tests.support.redis_proxy import ScriptedServer, Server
from tests.support.serving import at_once
from tests.support.waiting import wait_until

LONGEST_SECONDS = 5.0
HANGING_NAME = "hangs.test"


def slow(seconds: float, over: threading.Event) -> Callable[[str], str | None]:
    """Answer each command after that time, or as soon as the test is over."""

    def answer(command: str) -> str:
        over.wait(seconds)
        return "+PONG" if command == "PING" else "+OK"

    return answer


class Drip(socketserver.BaseRequestHandler):
    """Answers a command with a byte a second, for ever."""

    server: Server

    def handle(self) -> None:
        self.request.recv(1000)
        with suppress(OSError):
            for byte in itertools.chain(b"$1000\r\n", itertools.repeat(b"x"[0])):
                if self.server.closing.wait(1):
                    return
                self.request.send(bytes([byte]))


@pytest.fixture
def hanging_name(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A name whose look-up does not end before the test does."""
    over, resolve = threading.Event(), socket.getaddrinfo

    def hang(host: str, *arguments: Any, **options: Any) -> Any:
        if host == HANGING_NAME and options.get("flags") != socket.AI_NUMERICHOST:
            over.wait()
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield HANGING_NAME
    over.set()


def test_every_fault_ends_within_the_time_limit(hanging_name: str) -> None:
    with ExitStack() as stack:
        silent = socket.create_server(("127.0.0.1", 0))  # the system accepts; nobody ever answers, nor shakes hands
        stack.enter_context(silent)
        full = stack.enter_context(swallowing())
        over = threading.Event()
        servers = [ScriptedServer(slow(1.9, over)), ScriptedServer(slow(0.9, over)), Server(Drip)]
        for server in servers:
            stack.enter_context(server.running())
        stack.callback(over.set)
        password = ":word@127.0.0.1"
        urls = [
            servers[0].url.replace("127.0.0.1", password) + "?db=3",
            servers[1].url.replace("127.0.0.1", password) + "?db=3&client_name=x",
            servers[2].url,
            f"redis://127.0.0.1:{silent.getsockname()[1]}",
            f"rediss://127.0.0.1:{silent.getsockname()[1]}",
            full.replace("http", "redis"),
            f"redis://{hanging_name}:6379",
        ]
        connections = [Connection(stack.enter_context(connect(url))) for url in urls]
        calls = [partial(duration, connection) for connection in connections for _ in range(12)]
        assert max(at_once(calls)) < LONGEST_SECONDS


def test_a_unix_socket_whose_queue_is_full_is_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "redis.sock")
    with socket.socket(socket.AF_UNIX) as listening, ExitStack() as stack:
        listening.bind(path)
        listening.listen(0)
        first = stack.enter_context(socket.socket(socket.AF_UNIX))
        first.connect(path)

        def answer() -> None:
            listening.accept()[0].close()
            accepted = stack.enter_context(listening.accept()[0])
            accepted.recv(1000)
            accepted.sendall(b"+PONG\r\n")

        with connect(f"unix://{path}") as client:
            server = threading.Timer(0.1, answer)
            server.start()
            Connection(client).ping()
            server.join()


class Suspended(socket.socket):
    """A socket whose process is suspended just before it would wait, until an answer is there and its time over."""

    peer: socket.socket

    def recv(self, *arguments: Any) -> bytes:
        try:
            return super().recv(*arguments)
        except BlockingIOError:
            self.peer.sendall(b"+PONG")
            wait_until("the time is over", lambda: current().left_seconds == 0)
            raise


def test_an_answer_that_came_while_this_process_was_suspended_is_read_after_the_time_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, Suspended() as client:
        client.connect(server.getsockname())
        client.peer, _ = server.accept()
        with client.peer, limited(0.01):
            assert LimitedSocket(client).recv(100) == b"+PONG"


def duration(connection: Connection) -> float:
    """Return how many seconds a call took."""
    started = time.monotonic()
    with suppress(StoreUnavailable):
        connection.ping()
    return time.monotonic() - started


def test_a_name_server_that_hangs_piles_up_no_threads(hanging_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "PATIENCE_SECONDS", 0.02)
    looked_up = Names(hanging_name, 6379)

    def look_up() -> None:
        with limited(0.5), pytest.raises(TimeoutError):
            looked_up.look_up()

    at_once([look_up] * 30)
    assert 1 < sum(thread.name == "redis-look-up" for thread in threading.enumerate()) <= names.MAX_LOOK_UPS
