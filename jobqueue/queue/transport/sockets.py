"""Opens a socket to Redis, and waits on it no longer than the time limit allows."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from jobqueue.queue.transport.address import Address
from jobqueue.queue.transport.limits import current, limited
from jobqueue.queue.transport.names import Names, Place

Result = TypeVar("Result")

CONNECT_SECONDS = 1.5
"""For one of the addresses of a name. Room for one lost packet, which is sent again after a second."""
LOOK_UP_SECONDS = HANDSHAKE_SECONDS = 2.0
FULL_QUEUE_SECONDS = 0.01

# The system notices a peer that is gone by itself: after 5 s of silence it asks, twice more 2 s apart, and gives up. It
# also gives up when what we sent is not acknowledged for 5 s. Not every system has every option.
TCP_OPTIONS = {
    "TCP_NODELAY": 1,
    "TCP_KEEPIDLE": 5,
    "TCP_KEEPINTVL": 2,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 5000,
}


class LimitedSocket:
    """The methods of a socket that redis-py uses.

    The socket never blocks: it is waited for, until the time limit of the operation under way. A time-out of the socket
    itself would start again with each byte, and with each step of a TLS handshake.
    """

    def __init__(self, opened: socket.socket) -> None:
        opened.setblocking(False)
        self._socket = opened
        self._is_encrypted = False

    def connect(self, place: Any) -> None:
        """Connect to a socket address. Raises OSError."""
        while (number := self._socket.connect_ex(place)) == errno.EAGAIN:
            # The queue of a Unix socket is full, and nothing tells when it has room again.
            if current().left_seconds <= 0:
                raise TimeoutError("no connection within the time limit")
            time.sleep(FULL_QUEUE_SECONDS)
        if number == errno.EINPROGRESS:
            self._wait(select.POLLOUT)
            number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))

    def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        """Begin TLS: shake hands, and verify the certificate as the context says. Raises OSError."""
        wrapped = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
        self._socket, self._is_encrypted = wrapped, True
        self._until_done(wrapped.do_handshake, select.POLLIN)

    def recv(self, size: int) -> bytes:
        """Receive some bytes; none at the end of the connection."""
        if self._is_encrypted:
            return self._until_done(partial(self._socket.recv, size), select.POLLIN)
        try:
            return self._socket.recv(size)
        except BlockingIOError:
            return self._await(size)

    def _await(self, size: int) -> bytes:
        """Receive some bytes when they arrive.

        A socket in the clear may do the waiting itself, as it waits once: gevent's sockets need a quarter of what
        gevent's `poll` needs for it.
        """
        left_seconds = current().left_seconds
        if left_seconds > 0:
            try:
                self._socket.settimeout(left_seconds)
                return self._socket.recv(size)
            except (TimeoutError, BlockingIOError):
                pass
            finally:
                self._socket.settimeout(0.0)
        try:
            return self._socket.recv(size)  # as in `_wait`
        except BlockingIOError:
            raise TimeoutError("no answer within the time limit") from None

    def recv_into(self, buffer: bytearray) -> int:
        """Receive some bytes into a buffer; return their number."""
        return self._until_done(partial(self._socket.recv_into, buffer), select.POLLIN)

    def sendall(self, content: bytes) -> None:
        """Send all bytes. Does not report that the peer has closed the connection; the next `recv` does."""
        # A server with too many clients says so before it closes. That answer can still be read.
        with suppress(BrokenPipeError, ConnectionResetError):
            left = memoryview(content)
            while left:
                left = left[self._send(left) :]

    def _send(self, content: memoryview) -> int:
        try:
            return self._socket.send(content)
        except (BlockingIOError, ssl.SSLError):
            return self._until_done(partial(self._socket.send, content), select.POLLOUT)

    def is_readable(self) -> bool:
        """Whether there is something to read: on an idle connection that is its end, or an answer nobody waits for."""
        try:  # the method of the socket below TLS, which shows the bytes as they come
            socket.socket.recv(self._socket, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def wait_readable(self, seconds: float) -> bool:
        """Wait until there is something to read, or the end of the connection; return whether there is within that
        time.
        """
        return bool(self._poll(select.POLLIN, seconds))

    def settimeout(self, _seconds: float | None) -> None:
        """Do nothing: the time limit governs every wait."""

    def shutdown(self, how: int) -> None:
        """End the connection in one direction or both."""
        self._socket.shutdown(how)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _until_done(self, operation: Callable[[], Result], events: int) -> Result:
        while True:
            try:
                return operation()
            except BlockingIOError:
                self._wait(events)
            # TLS may have to write before it can read, and the other way round.
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT)

    def _wait(self, events: int) -> None:
        # An answer that is there already counts even if the limit is over: since it asked, this process may have been
        # suspended, or have had no processor.
        if not self._poll(events, current().left_seconds):
            raise TimeoutError("no answer within the time limit")

    def _poll(self, events: int, seconds: float) -> list[tuple[int, int]]:
        poll = select.poll()  # `select` fails from the 1,024th file descriptor on
        poll.register(self._socket, events)
        return poll.poll(seconds * 1000)


def connect(address: Address, names: Names) -> LimitedSocket:
    """Return a connected socket, with TLS if the address says so. Raises OSError; TimeoutError at the time limit."""
    if address.path:
        return _connected(socket.AF_UNIX, address.path, address)
    with limited(LOOK_UP_SECONDS):
        places = names.look_up()
    failure = OSError(errno.EHOSTUNREACH, "the name has no address")
    for family, place in _distinct(places):
        try:
            return _connected(family, place, address)
        except OSError as error:
            failure = error
    try:
        raise failure
    finally:
        del failure  # lest this frame, with all its callers, stays in memory: the error's traceback leads to it


def _distinct(places: list[Place]) -> list[tuple[int, Any]]:
    return list(dict.fromkeys((family, place) for family, _, _, _, place in places))


def _connected(family: int, place: Any, address: Address) -> LimitedSocket:
    plain = socket.socket(family, socket.SOCK_STREAM)
    opened = LimitedSocket(plain)
    try:
        if family != socket.AF_UNIX:
            _set_options(plain)
        with limited(CONNECT_SECONDS):
            opened.connect(place)
        if address.tls is not None:
            with limited(HANDSHAKE_SECONDS):
                opened.encrypt(address.tls, address.host)
    except BaseException:
        opened.close()
        raise
    return opened


def _set_options(opened: socket.socket) -> None:
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in TCP_OPTIONS.items():
        if hasattr(socket, name):
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
