"""Hosts that misbehave, names that lead to several hosts, and a bound on how long a test may wait for them."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fail when the context takes longer."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


Behaviour = Callable[[socket.socket, threading.Event], None]
"""What a host does with a connection, until the event is set."""


@contextmanager
def misbehaving(behave: Behaviour) -> Iterator[str]:
    """A host that treats every connection like this; yields its URL."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def treat(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            behave(connection, over)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=treat, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n"


def _drip(connection: socket.socket, over: threading.Event, drop: bytes = b"x") -> None:
    while not over.wait(0.05):
        connection.sendall(drop)


def silent(_: socket.socket, over: threading.Event) -> None:
    """Accept the connection and send nothing."""
    over.wait()


def dripping_status(connection: socket.socket, over: threading.Event) -> None:
    """Send a status line that does not end, a byte at a time."""
    _drip(connection, over)


def dripping_header(connection: socket.socket, over: threading.Event) -> None:
    """Send a header that does not end, a byte at a time."""
    connection.sendall(HEAD + b"X-Slow: ")
    _drip(connection, over)


def reset_when_closed(connection: socket.socket) -> None:
    """Let the end of a connection be a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def resetting_after(sent: bytes, read_first: bool = True) -> Behaviour:
    """Return what a host does that sends these bytes, after the request or at once, and resets the connection."""

    def reset(connection: socket.socket, _: threading.Event) -> None:
        reset_when_closed(connection)
        if read_first:
            connection.recv(65536)
        if sent:
            connection.sendall(sent)
            threading.Event().wait(0.02)  # a reset overtakes what has not been read

    return reset


def endless_continue(connection: socket.socket, over: threading.Event) -> None:
    """Send one interim answer after another."""
    while not over.wait(0.02):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def dripping_body(connection: socket.socket, over: threading.Event) -> None:
    """Send the body a byte at a time."""
    connection.sendall(HEAD + b"\r\n")
    _drip(connection, over)


def dripping_chunks(connection: socket.socket, over: threading.Event) -> None:
    """Send chunks of one byte."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    _drip(connection, over, b"1\r\nx\r\n")


def dripping_chunk_size(connection: socket.socket, over: threading.Event) -> None:
    """Send a chunk size that does not end, a byte at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    _drip(connection, over, b"0")


def unfinished_body(connection: socket.socket, over: threading.Event) -> None:
    """Send some of the body and fall silent."""
    connection.sendall(HEAD + b"\r\nabc")
    over.wait()


BEHAVIOURS: list[Behaviour] = [
    silent,
    dripping_status,
    dripping_header,
    endless_continue,
    dripping_body,
    dripping_chunks,
    dripping_chunk_size,
    unfinished_body,
]


@contextmanager
def swallowing() -> Iterator[str]:
    """A host whose queue of connections is full, so that the system drops every further one; yields its URL."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def resolve_to(monkeypatch: pytest.MonkeyPatch, *urls: str) -> None:
    """Have every host name lead to the addresses of these hosts, in this order, whatever the port."""
    places = [("127.0.0.1", int(url.rpartition(":")[2])) for url in urls]
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: addresses)


@contextmanager
def silent_name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look-ups get no answer while the context lasts."""
    over = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [over.wait(60)])
    try:
        yield
    finally:
        over.set()
        for thread in threading.enumerate():
            if thread.name == "look-up":  # the next test may want the same name, and would join the look-up
                thread.join(10)


def is_connected(port: int, server_port: int) -> bool:
    """Whether a connection from one port to the other is established, or waits to be closed on our side.

    Other processes may have the same port in connections to others.
    """
    connections = [line.split()[1:4] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = f":{port:04X}", f":{server_port:04X}"
    return any((ours[-5:], theirs[-5:]) == ends and state in ("01", "08") for ours, theirs, state in connections)
