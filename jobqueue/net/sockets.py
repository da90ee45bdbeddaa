"""TCP and TLS sockets that wait no longer than a time limit allows, and urllib3 connections made of them.

The timeouts of `socket`, urllib3 and `requests` are for one operation each, so a peer that sends a byte now and then
never runs into them. These sockets wait for a moment at a time instead, and check the time limit in between.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import wait_for_write

from jobqueue.net.names import Address, look_up
from jobqueue.net.time_limit import TimeLimit

Result = TypeVar("Result")


def _permit(_: str) -> None:
    """Permit every address."""


@dataclass
class Governor:
    """What governs the sockets of the operation under way.

    `on_connected` is called with the IP address that a connection really has, before a byte is sent on it. Whatever it
    raises ends the operation. `ended` is whether the peer has ended the connection that was read last.
    """

    limit: TimeLimit
    on_connected: Callable[[str], None] = _permit
    ended: bool = False


# urllib3 and `requests` create and reuse sockets deep inside, with no argument that could carry a time limit. A
# context variable reaches them there. It belongs to one thread, so no thread's limit governs another's sockets.
_current: ContextVar[Governor] = ContextVar("governor")


@contextmanager
def governed(limit: TimeLimit, on_connected: Callable[[str], None] = _permit) -> Iterator[Governor]:
    """Put every wait on the sockets below, in this thread, under a time limit for as long as the context lasts."""
    governor = Governor(limit, on_connected)
    token = _current.set(governor)
    try:
        yield governor
    finally:
        _current.reset(token)


class GovernedSocket(socket.socket):
    """A socket whose operations raise what `TimeLimit.check` raises, besides OSError."""

    def connect_within(self, seconds: float, address: Any) -> None:
        """Connect to a socket address. Raises TimeoutError after that many seconds, long before the system gives up."""
        limit, deadline = _current.get().limit, time.monotonic() + seconds
        # A TLS handshake that follows shares this window. No byte of either counts towards the speed. The window ends
        # after the deadline, so that a connection that is too slow is a TimeoutError, after which the next address is
        # tried.
        limit.begin_window(seconds)
        self.settimeout(0)
        number = self.connect_ex(address)
        while number == errno.EINPROGRESS:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(errno.ETIMEDOUT, f"no connection within {seconds:g} s")
            if wait_for_write(self, min(limit.check(), left)):
                number = self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))
        self.settimeout(seconds)  # `ssl` refuses to shake hands on a socket that does not block

    def recv_into(self, *arguments: Any) -> int:
        """Receive bytes into a buffer."""
        byte_count = _within_limit(self, super().recv_into, *arguments)
        governor = _current.get()
        governor.limit.count(byte_count)
        governor.ended = byte_count == 0
        return byte_count

    def send(self, *arguments: Any) -> int:
        """Send some of the bytes."""
        return _within_limit(self, super().send, *arguments)

    def sendall(self, content: Any, *flags: int) -> None:
        """Send all bytes. After a timeout, the system's own `sendall` does not say how many bytes it has sent."""
        with memoryview(content) as view, view.cast("B") as data:
            sent = 0
            while sent < len(data):
                sent += self.send(data[sent:], *flags)


class GovernedTlsSocket(GovernedSocket, ssl.SSLSocket):
    """The same with TLS. Set it as the `sslsocket_class` of a context."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands. Closes the socket on failure: it is still being made, so nobody else can."""
        with _closed_on_error(self):
            _within_limit(self, super().do_handshake, block)


def _within_limit(on: socket.socket, operation: Callable[..., Result], *arguments: Any) -> Result:
    """Return what an operation on a socket returns, and check the time limit while it waits."""
    while True:
        on.settimeout(_current.get().limit.check())
        try:
            return operation(*arguments)
        except TimeoutError as error:
            # A timeout that we have set carries no number, and the operation has done nothing yet: TLS, too, takes up
            # a read, a write or a handshake where it was. One with a number is ETIMEDOUT: the connection is dead.
            if error.errno is not None:
                raise


def _connect(connection: HTTPConnection) -> GovernedSocket:
    """Return a connection to the first address of a server that accepts one.

    Raises OSError when none does, and what the time limit and `on_connected` raise.
    """
    governor = _current.get()
    seconds = connection.timeout or governor.limit.left_seconds
    failure = OSError(errno.EHOSTUNREACH, "the server has no address")
    governor.limit.begin_window()  # no bytes arrive during the look-up, so it has a window of its own
    for address in look_up(connection.host.strip("[]"), connection.port, governor.limit):
        try:
            opened = _connect_to(address, seconds, connection)
        except OSError as error:
            failure = error
            continue
        with _closed_on_error(opened):
            governor.on_connected(opened.getpeername()[0])
        return opened
    raise failure


def _connect_to(address: Address, seconds: float, connection: HTTPConnection) -> GovernedSocket:
    family, kind, protocol, _, place = address
    opened = GovernedSocket(family, kind, protocol)
    with _closed_on_error(opened):
        for option in connection.socket_options or ():
            opened.setsockopt(*option)
        opened.connect_within(seconds, place)
    return opened


@contextmanager
def _closed_on_error(opened: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        opened.close()
        raise


class Connection(HTTPConnection):
    """An HTTP connection of urllib3 on such a socket. Its timeout is for connecting to one address."""

    _new_conn = _connect


class TlsConnection(HTTPSConnection):
    """The same with TLS, which needs a context whose `sslsocket_class` is GovernedTlsSocket."""

    _new_conn = _connect
