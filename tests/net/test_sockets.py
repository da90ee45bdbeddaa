"""Sockets obey the time limit in force, and an address is inspected before a byte is sent to it."""

from __future__ import annotations

import gc
import select
import socket
import ssl
import struct
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

import pytest

from jobqueue.net.connections import Connection, TlsConnection
from jobqueue.net.names import Address
from jobqueue.net.sockets import GovernedSocket, GovernedTlsSocket, Guard, governed
from jobqueue.net.time_limit import DeadlinePassed, MinimumSpeed, Stopped, TimeLimit, TooSlow
from tests.support.fake_server import FakeServer, nobody
from tests.support.hosts import at_most, resolve_to, swallowing


class Forbidden(Exception):
    """What a network policy would raise."""


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A listener that nobody accepts connections of: the system does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        yield listener


def connection_to(port: int, scheme: str = "http", seconds: float = 5) -> Connection | TlsConnection:
    if scheme == "http":
        return Connection("127.0.0.1", port, timeout=seconds)
    context = ssl.create_default_context()
    context.sslsocket_class = GovernedTlsSocket
    return TlsConnection("127.0.0.1", port, timeout=seconds, ssl_context=context)


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


class Recording(Guard):
    """Notes the addresses that it is asked about, and forbids at the second look if it is told to."""

    def __init__(self, forbids: bool = False) -> None:
        self.chosen: list[tuple[str, list[str]]] = []
        self.confirmed: list[str] = []
        self._forbids = forbids

    def choose(self, host: str, addresses: Sequence[Address]) -> Sequence[Address]:
        self.chosen.append((host, [address[4][0] for address in addresses]))
        return addresses

    def confirm(self, address: str) -> None:
        self.confirmed.append(address)
        if self._forbids:
            raise Forbidden


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nothing_is_sent_to_an_address_that_is_forbidden(scheme: str) -> None:
    guard = Recording(forbids=True)
    with listening() as listener, governed(TimeLimit(5), guard):
        with closing(connection_to(port_of(listener), scheme)) as connection, pytest.raises(Forbidden):
            connection.request("GET", "/")
        accepted, _ = listener.accept()
        with accepted:
            accepted.settimeout(5)
            assert accepted.recv(1) == b""
    assert guard.confirmed == ["127.0.0.1"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nobody_is_connected_to_whom_the_guard_does_not_choose(scheme: str) -> None:
    class Choosing(Guard):
        def choose(self, host: str, addresses: Sequence[Address]) -> Sequence[Address]:
            raise Forbidden

    with listening() as listener, governed(TimeLimit(5), Choosing()):
        with closing(connection_to(port_of(listener), scheme)) as connection, pytest.raises(Forbidden):
            connection.request("GET", "/")
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_the_confirmed_address_is_that_of_the_connection(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Recording()
    with nobody() as dead, governed(TimeLimit(5), guard):
        resolve_to(monkeypatch, dead, server.url)
        with closing(Connection("host", 80, timeout=5)) as connection:
            connection.request("GET", "/")
            assert connection.getresponse().status == 200
    assert guard.chosen == [("host", ["127.0.0.1", "127.0.0.1"])]
    assert guard.confirmed == ["127.0.0.1"]


def test_a_forbidden_address_is_not_followed_by_the_next_one(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, server.url, server.url)
    connection = Connection("host", 80, timeout=5)
    with governed(TimeLimit(5), Recording(forbids=True)), closing(connection), pytest.raises(Forbidden):
        connection.connect()
    assert server.requests == []


@pytest.mark.parametrize("dead", [nobody, swallowing])
def test_the_error_of_the_last_address_is_raised(dead: Callable[[], AbstractContextManager[str]]) -> None:
    with dead() as url, governed(TimeLimit(5)):
        connection = Connection("127.0.0.1", int(url.rpartition(":")[2]), timeout=0.1)
        with at_most(2), pytest.raises(OSError, match=r"Connection refused|no connection within 0\.1 s"):
            connection.connect()


def test_a_tls_handshake_shares_the_time_limit_of_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = GovernedSocket.connect_ex

    def connect_late(self: GovernedSocket, address: Any) -> int:
        threading.Event().wait(2.5)
        return connect(self, address)

    monkeypatch.setattr(GovernedSocket, "connect_ex", connect_late)
    limit = TimeLimit(60, speed=MinimumSpeed())
    with listening() as listener, governed(limit), at_most(5.2), pytest.raises(TooSlow, match="0 bytes in 3 s"):
        connection_to(port_of(listener), "https", 3).connect()


def test_a_host_without_addresses_cannot_be_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch)
    with governed(TimeLimit(5)), pytest.raises(OSError, match="no address"):
        Connection("host", 80, timeout=5).connect()


LIMITS: list[tuple[Callable[[threading.Event], TimeLimit], type[Exception]]] = [
    (lambda _: TimeLimit(0.2), DeadlinePassed),
    (lambda stopped: TimeLimit(60, stopped), Stopped),
    (lambda _: TimeLimit(60, speed=MinimumSpeed(1000, 0.2)), TooSlow),
]


@pytest.mark.parametrize(("make", "error"), LIMITS, ids=["deadline", "stop", "speed"])
def test_a_read_ends_with_the_time_limit(make: Callable[[threading.Event], TimeLimit], error: type[Exception]) -> None:
    stopped = threading.Event()
    threading.Timer(0.2, stopped.set).start()
    limit = make(stopped)
    with listening() as listener, governed(limit), closing(connection_to(port_of(listener))) as connection:
        connection.connect()
        limit.begin_window()
        assert connection.sock is not None
        connection.sock.settimeout(60)  # as urllib3 does: it changes nothing
        with at_most(2), pytest.raises(error):
            connection.sock.recv_into(bytearray(1))


@pytest.mark.parametrize(("make", "error"), LIMITS[:2], ids=["deadline", "stop"])
def test_a_write_ends_with_the_time_limit(make: Callable[[threading.Event], TimeLimit], error: type[Exception]) -> None:
    stopped = threading.Event()
    threading.Timer(0.2, stopped.set).start()
    with listening() as listener, governed(make(stopped)), closing(connection_to(port_of(listener))) as connection:
        connection.connect()
        assert connection.sock is not None
        with at_most(2), pytest.raises(error):
            connection.sock.sendall(bytes(50_000_000))


def test_a_large_write_to_a_slow_reader_arrives_whole() -> None:
    content = bytes(range(256)) * 40_000
    with listening() as listener, governed(TimeLimit(60)), closing(connection_to(port_of(listener))) as connection:
        received = bytearray()

        def read_slowly() -> None:
            accepted, _ = listener.accept()
            with accepted:
                while piece := accepted.recv(1_000_000):
                    received.extend(piece)
                    threading.Event().wait(0.05)

        reader = threading.Thread(target=read_slowly)
        reader.start()
        connection.connect()
        assert connection.sock is not None
        connection.sock.sendall(content)
        connection.close()
        reader.join()
    assert received == content


def test_received_bytes_count_towards_the_minimum_speed() -> None:
    limit = TimeLimit(60, speed=MinimumSpeed(bytes_per_second=10, window_seconds=0.2))
    with listening() as listener, governed(limit), closing(connection_to(port_of(listener))) as connection:
        connection.connect()
        limit.begin_window()
        accepted, _ = listener.accept()
        with accepted:
            accepted.sendall(bytes(200))
            assert connection.sock is not None
            received = connection.sock.recv_into(bytearray(100))
            threading.Event().wait(0.25)
            assert received + connection.sock.recv_into(bytearray(100)) == 200


def test_the_end_of_a_connection_is_noticed() -> None:
    with (
        listening() as listener,
        governed(TimeLimit(5)) as governor,
        closing(connection_to(port_of(listener))) as connection,
    ):
        connection.connect()
        accepted, _ = listener.accept()
        accepted.sendall(b"x")
        accepted.close()
        assert connection.sock is not None
        connection.sock.recv_into(bytearray(1))
        assert not governor.ended
        connection.sock.recv_into(bytearray(1))
        assert governor.ended


def test_a_connection_that_is_reset_before_tls_begins_leaves_no_socket_open() -> None:
    context = ssl.create_default_context()
    context.sslsocket_class = GovernedTlsSocket
    with listening() as listener, governed(TimeLimit(5)):
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
        poll = select.poll()
        poll.register(client, 0)  # wakes up for the reset alone
        assert poll.poll(5000)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with pytest.raises(ConnectionResetError):
                context.wrap_socket(client, server_hostname="127.0.0.1")
            gc.collect()
    assert [str(each.message) for each in warned] == []
