"""TCP and TLS sockets that wait no longer than a time limit allows.

The timeouts of `socket` and urllib3 are for one operation each, so a peer that sends a byte now and then never runs
into them. These sockets wait for a moment at a time instead, and check the time limit in between.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import ssl
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from jobqueue.net.names import Address
from jobqueue.net.time_limit import TimeLimit

Result = TypeVar("Result")


class Guard:
    """Decides which addresses an operation may connect to. This one permits all."""

    def choose(self, host: str, addresses: Sequence[Address]) -> Sequence[Address]:  # noqa: ARG002  # others need it
        """Return those addresses of a host that may be connected to, in the same order. May raise anything."""
        return addresses

    def confirm(self, address: str) -> None:
        """Look at the IP address that a connection really has, before a byte is sent on it. May raise anything."""


PERMISSIVE = Guard()


@dataclass
class Governor:
    """What governs the sockets of the operation under way.

    `guard` decides which addresses are connected to; whatever it raises ends the operation. `ended` is whether the peer
    has ended the connection that was read last.
    """

    limit: TimeLimit
    guard: Guard = PERMISSIVE
    ended: bool = False


# urllib3 creates and reuses sockets deep inside, with no argument that could carry a time limit. A context variable
# reaches them there. It belongs to one thread, so no thread's limit governs another's sockets.
_current: ContextVar[Governor] = ContextVar("governor")


def governor() -> Governor:
    """Return what governs the sockets in this thread now."""
    return _current.get()


@contextmanager
def governed(limit: TimeLimit, guard: Guard = PERMISSIVE) -> Iterator[Governor]:
    """Put every wait on the sockets below, in this thread, under a time limit for as long as the context lasts; and
    every connection to a server, though not to a proxy, under a guard.
    """
    current = Governor(limit, guard)
    token = _current.set(current)
    try:
        yield current
    finally:
        _current.reset(token)


def no_connection(seconds: float) -> TimeoutError:
    """Return what to raise when there is no connection after so many seconds."""
    return TimeoutError(errno.ETIMEDOUT, f"no connection within {seconds:g} s")


class GovernedSocket(socket.socket):
    """A socket whose operations raise what `TimeLimit.check` raises, besides OSError."""

    _queued_byte_count = 0

    def begin_connecting(self, address: Any, seconds: float) -> bool:
        """Begin to connect, without waiting; return whether the socket is connected already. Raises OSError."""
        # A TLS handshake that follows shares this window. No byte of either counts towards the speed. The window ends
        # after the deadline, so that a connection that is too slow is a TimeoutError, after which the next address is
        # tried.
        _current.get().limit.begin_window(seconds)
        self.settimeout(0)
        return self._is_connected(self.connect_ex(address))

    def finish_connecting(self) -> bool:
        """Return whether the socket is connected, once it can be written. Raises the error for which it is not."""
        return self._is_connected(self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def _is_connected(self, number: int) -> bool:
        if number not in (0, errno.EINPROGRESS):
            raise OSError(number, os.strerror(number))
        return number == 0

    def recv_into(self, *arguments: Any) -> int:
        """Receive bytes into a buffer."""
        byte_count = _within_limit(self, super().recv_into, *arguments)
        current = _current.get()
        current.limit.count(byte_count)
        current.ended = byte_count == 0
        return byte_count

    def send(self, *arguments: Any) -> int:
        """Send some of the bytes."""
        byte_count = _within_limit(self, super().send, *arguments)
        _current.get().limit.note_progress()
        return byte_count

    def sendall(self, content: Any, *flags: int) -> None:
        """Send all bytes. After a timeout, the system's own `sendall` does not say how many bytes it has sent."""
        with memoryview(content) as view, view.cast("B") as data:
            sent = 0
            while sent < len(data):
                sent += self.send(data[sent:], *flags)

    def note_progress(self) -> None:
        """Tell the time limit when the peer has acknowledged bytes since the last call.

        The system takes megabytes at once and sends them as fast as the link allows. So over a slow link nothing may be
        left for us to send, and nothing arrive yet, while all is well.
        """
        with suppress(OSError):  # not every system counts them
            queued = int.from_bytes(fcntl.ioctl(self.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
            if queued < self._queued_byte_count:
                _current.get().limit.note_progress()
            self._queued_byte_count = queued


class GovernedTlsSocket(GovernedSocket, ssl.SSLSocket):
    """The same with TLS. Set it as the `sslsocket_class` of a context."""

    def getpeername(self) -> Any:
        """Return the address of the other end. Closes a socket whose connection has been reset.

        TLS begins on connections only. `ssl` takes one that was reset at once for a socket that is not connected yet,
        and then loses it.
        """
        try:
            return super().getpeername()
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
            self.close()
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from None

    def do_handshake(self, block: bool = False) -> None:  # noqa: ARG002
        """Shake hands. Closes the socket on failure: it is still being made, so nobody else can."""
        with closed_on_error(self):
            _within_limit(self, super().do_handshake)  # `block` is for sockets without a timeout


def _within_limit(on: GovernedSocket, operation: Callable[..., Result], *arguments: Any) -> Result:
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
            on.note_progress()


@contextmanager
def closed_on_error(opened: socket.socket) -> Iterator[None]:
    """Close a socket when the context ends with an error."""
    try:
        yield
    except BaseException:
        opened.close()
        raise
