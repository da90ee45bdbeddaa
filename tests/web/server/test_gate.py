"""How many requests of a process run at once, and whose connections make room for others."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.event import Event

from jobqueue.errors import ServerBusy
from jobqueue.queue.transport.limits import current
from jobqueue.web.requests import callers
from jobqueue.web.server import gate as gate_module
from jobqueue.web.server.connections import table as table_module
from jobqueue.web.server.connections.connection import Connection
from jobqueue.web.server.connections.countdown import TimeLimits
from jobqueue.web.server.connections.table import ConnectionTable
from jobqueue.web.server.gate import ORDINARY_PLACES, URGENT_PLACES, Gate

WHOLE_BODY = SimpleNamespace(reader=SimpleNamespace(length=0))
BLOCKED = b"x" * 10_000_000
"""More than any socket takes while nobody reads."""


class App:
    """An app whose ordinary requests run until `released`."""

    def __init__(self) -> None:
        self.running = 0
        self.released = Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "/health" not in environ["PATH_INFO"]:
            self.running += 1
            with callers.waiting(environ) if environ["PATH_INFO"] == "/wait" else callers.waiting({}):
                self.released.wait()
        start_response("200 OK", [])
        return [b""]


def ask(gate: Gate, path: str, method: str = "GET") -> str:
    """Send a request through the gate; return the status."""
    statuses: list[str] = []
    connection = SimpleNamespace(place=None, settle_body=lambda: None, free=lambda: None)
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "gunicorn.socket": connection}
    gate(environ, lambda status, _: statuses.append(status))
    return statuses[0]


@contextmanager
def connections(table: ConnectionTable, count: int) -> Iterator[list[tuple[Connection, Any]]]:
    """Open connections; yield each with the client's end."""
    ends = [gevent.socket.socketpair() for _ in range(count)]
    opened = [Connection(ours, "", table, TimeLimits()) for ours, _ in ends]
    for each in opened:
        table.add(each)
    yield list(zip(opened, [theirs for _, theirs in ends], strict=True))
    for pair in ends:
        for end in pair:
            end.close()


@pytest.fixture
def app() -> Iterator[App]:
    app = App()
    yield app
    app.released.set()


def test_a_probe_of_the_process_waits_for_nobody(app: App) -> None:
    gate = Gate(app, ConnectionTable(10))
    places = [("/jobs", ORDINARY_PLACES), ("/jobs/x/heartbeat", URGENT_PLACES)]
    running = [gevent.spawn(ask, gate, path, "PUT") for path, count in places for _ in range(count)]
    while app.running < len(running):
        gevent.sleep(0)
    with gevent.Timeout(10):
        assert ask(gate, "/api/v1/health/live") == "200 OK"


def test_a_request_that_gets_no_place_in_time_is_answered_503_and_a_probe_needs_none(app: App) -> None:
    gate = Gate(app, ConnectionTable(10), wait_seconds=0.05)
    running = [gevent.spawn(ask, gate, "/jobs") for _ in range(ORDINARY_PLACES)]
    while app.running < ORDINARY_PLACES:
        gevent.sleep(0)
    assert ask(gate, "/jobs").startswith("503 ")
    assert ask(gate, "/health") == "200 OK"
    app.released.set()
    assert {greenlet.get() for greenlet in running} == {"200 OK"}
    assert ask(gate, "/jobs") == "200 OK"


def test_a_request_that_waits_gives_its_place_to_others(app: App) -> None:
    gate = Gate(app, ConnectionTable(10), wait_seconds=5)
    running = [gevent.spawn(ask, gate, "/wait") for _ in range(5 * ORDINARY_PLACES)]
    while app.running < len(running):
        gevent.sleep(0)
    app.released.set()
    assert {greenlet.get() for greenlet in running} == {"200 OK"}


def test_the_time_that_a_client_takes_to_send_its_body_leaves_redis_as_much_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit_seconds = 0.5
    monkeypatch.setattr(gate_module, "OPERATION_SECONDS", limit_seconds)
    left: list[float] = []
    table = ConnectionTable(1)
    with connections(table, 1) as ((connection, client),):

        def app(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            assert connection.recv(1) == b"x"
            left.append(current().left_seconds)
            start_response("200 OK", [])
            return [b""]

        connection.run(SimpleNamespace(body=WHOLE_BODY))
        gevent.spawn_later(limit_seconds + 0.1, client.send, b"x")
        environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/jobs", "gunicorn.socket": connection}
        Gate(app, table)(environ, lambda *_: None)
    assert left[0] > 0


def test_readers_that_do_not_read_are_closed_for_those_that_do(monkeypatch: pytest.MonkeyPatch, app: App) -> None:
    app.released.set()
    table = ConnectionTable(10)
    monkeypatch.setattr(table_module, "MAX_UNSENT_BYTES", 2 * len(BLOCKED))
    monkeypatch.setattr(table_module, "STALLED", 0)
    with connections(table, 4) as opened:
        sending = [gevent.spawn(connection.sendall, BLOCKED) for connection, _ in opened]
        gevent.sleep(0)
        assert table.holds_too_much()
        assert ask(Gate(app, table, wait_seconds=5), "/jobs") == "200 OK"
        assert not table.holds_too_much()
        gevent.joinall(sending[:2])
        assert [isinstance(greenlet.exception, OSError) for greenlet in sending] == [True, True, False, False]
        gevent.killall(sending)
    assert table.unsent_bytes == 0


def test_the_connection_that_has_waited_longest_is_closed_but_never_one_whose_request_runs() -> None:
    table = ConnectionTable(3)
    with connections(table, 3) as opened:
        opened[0][0].run(SimpleNamespace(body=WHOLE_BODY))
        table.close_slowest(1)
        assert opened[1][1].recv(1) == b""
        table.close_slowest(3)
        assert opened[2][1].recv(1) == b""
        opened[0][1].settimeout(0)
        with pytest.raises(BlockingIOError):
            opened[0][1].recv(1)


def test_a_socket_has_no_more_bytes_than_it_was_given() -> None:
    with connections(ConnectionTable(1), 1) as ((connection, client),):
        sending = gevent.spawn(connection.sendall, BLOCKED)
        received = 0
        while received < len(BLOCKED):
            received += len(client.recv(1_000_000))
        sending.get()
        client.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def test_a_client_that_sends_faster_than_it_is_read_lets_others_run() -> None:
    with connections(ConnectionTable(1), 1) as ((connection, client),):
        connection.run(SimpleNamespace(body=WHOLE_BODY))
        client.sendall(b"xy")
        others: list[str] = []
        gevent.spawn(others.append, "ran")
        assert connection.recv(1) + connection.recv(1) == b"xy"
        assert others == ["ran"]


def begin_body(connection: Connection, client: Any, length: int) -> Any:
    """Send the first byte of a body; return the greenlet that waits for the second one, with which the request ends."""

    def receive() -> None:
        try:
            with suppress(OSError):
                connection.recv(1)
        finally:
            connection.free()

    connection.run(SimpleNamespace(body=SimpleNamespace(reader=SimpleNamespace(length=length)), force_close=bool))
    client.sendall(b"x")
    assert connection.recv(1) == b"x"
    return gevent.spawn(receive)


def test_bodies_that_stop_coming_make_room_for_those_that_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "MAX_BODY_BYTES", 200_000)
    monkeypatch.setattr(table_module, "STALLED", 0)
    table = ConnectionTable(4)
    with connections(table, 4) as opened:
        waiting = [begin_body(*opened[0], 8000), begin_body(*opened[1], 100_000), begin_body(*opened[2], 100_000)]
        gevent.sleep(0)
        waiting.append(begin_body(*opened[3], 100_000))
        gevent.joinall(waiting[1:3], timeout=5)
        assert [greenlet.ready() for greenlet in waiting] == [False, True, True, False]  # short bodies need no room
        gevent.killall(waiting)
        for connection, _ in opened:
            connection.close()
    assert table.body_bytes == 0


def test_a_body_for_which_there_is_no_room_in_time_finds_the_server_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "MAX_BODY_BYTES", 100_000)
    monkeypatch.setattr(table_module, "BODY_WAIT_SECONDS", 0.05)
    table = ConnectionTable(2)
    with connections(table, 2) as opened:
        first = begin_body(*opened[0], 100_000)
        with pytest.raises(ServerBusy):
            begin_body(*opened[1], 100_000)
        gevent.kill(first)
        gevent.kill(begin_body(*opened[1], 100_000))


def test_the_heads_that_take_longest_are_closed_when_all_together_are_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "MAX_HEAD_BYTES", 2500)
    table = ConnectionTable(4)
    with connections(table, 4) as opened:
        for connection, client in opened[1:]:
            client.sendall(b"x" * 1000)
            assert len(connection.recv(1000)) == 1000
        assert opened[1][1].recv(1) == b""
        for _, client in (opened[0], *opened[2:]):
            client.settimeout(0)
            with pytest.raises(BlockingIOError):
                client.recv(1)
        for connection, _ in opened:
            connection.close()
    assert table.head_bytes == 0


def test_at_the_end_a_connection_that_was_in_use_a_moment_ago_may_send_one_more_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = ConnectionTable(1)
    with connections(table, 1) as ((connection, client),):
        connection.await_request(buffered=False)
        table.close_idle()
        client.settimeout(0)
        with pytest.raises(BlockingIOError):
            client.recv(1)
        monkeypatch.setattr(table_module, "IDLE_SECONDS", 0)
        table.close_idle()
        assert client.recv(1) == b""
