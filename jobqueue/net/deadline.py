"""Connections for `requests` on which nothing is waited for beyond one deadline: no name, no handshake, no byte.

The time-outs of `requests` are for one operation each: a host that sends a byte of a header now and then, and a name
server that does not answer, never run into them.
"""

from __future__ import annotations

import errno
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context

from jobqueue.net.names import Address, look_up

_over_at: ContextVar[float] = ContextVar("over_at")

if TYPE_CHECKING:
    _AnySocket = socket.socket
else:
    _AnySocket = object


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let what the adapter's connections do meanwhile, in this thread, raise TimeoutError after so many seconds."""
    token = _over_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _over_at.reset(token)


def left() -> float:
    """Return how many seconds are left. Raises TimeoutError when none is."""
    seconds = _over_at.get() - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the time is over")
    return seconds


class Adapter(HTTPAdapter):
    """What a session of `requests` mounts to have such connections. They need a `within`."""

    def init_poolmanager(self, *sizes: Any, **options: Any) -> None:
        """Have the connections made by the classes below."""
        context = create_urllib3_context()
        context.sslsocket_class = _TlsSocket
        super().init_poolmanager(*sizes, ssl_context=context, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


class _Bounded(_AnySocket):
    """A socket each of whose operations ends when the time is over."""

    def recv_into(self, *buffer: Any) -> int:
        self.settimeout(left())
        return super().recv_into(*buffer)

    def send(self, *content: Any) -> int:
        self.settimeout(left())
        return super().send(*content)

    def sendall(self, *content: Any) -> None:
        self.settimeout(left())
        super().sendall(*content)


class _Socket(_Bounded, socket.socket):
    pass


class _TlsSocket(_Bounded, ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:
        self.settimeout(left())
        super().do_handshake(block)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def _addresses(connection: HTTPConnection) -> list[Address]:
    try:
        return look_up(connection.host.strip("[]"), connection.port, left)
    except ValueError as error:
        raise OSError(errno.EINVAL, "The host's name cannot be read") from error


def _connect(connection: HTTPConnection) -> socket.socket:
    """Return a connection to the first address that takes one. Raises OSError."""
    reason = OSError("the host has no address")
    for family, kind, protocol, _, place in _addresses(connection):
        opened = _Socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                opened.setsockopt(*option)
            opened.settimeout(min(left(), connection.timeout or left()))
            opened.connect(place)
        except OSError as error:
            opened.close()
            reason = error
        else:
            return opened
    raise reason
