"""A connection to a host that nobody waits for longer than patience lasts: for no name, no handshake and no byte.

Sockets here never block. Whatever is not ready is waited for a moment at a time, and patience is asked in between: so
a host that sends a byte now and then, where a time-out for each operation would wait for ever, cannot hold anybody.
"""

from __future__ import annotations

import errno
import io
import select
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from jobqueue.net.names import Address, look_up
from jobqueue.worker.programs.errors import DownloadFailed, MayPass
from jobqueue.worker.programs.patience import SLOW_SECONDS, Patience

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CONNECT_SECONDS = 10.0
BUFFER_BYTES = 256 * 1024
OF_THIS_MACHINE = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Errors that no host can help: another machine may well do the same download."""
OF_THIS_RESOLVER = frozenset({socket.EAI_SYSTEM, socket.EAI_MEMORY})

Result = TypeVar("Result")


class Wire(io.RawIOBase):
    """An open connection. What goes wrong on it raises what Patience raises, MayPass, or DownloadFailed for good;
    OSError when this machine has no memory or no descriptors left.
    """

    def __init__(self, connected: socket.socket, patience: Patience) -> None:
        super().__init__()
        self._socket = connected
        self._patience = patience
        self.ended = False

    def readable(self) -> bool:
        """Whether it can be read from: yes."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read what has come, or comes first; 0 at the end, which `ended` remembers."""
        count = eventually(self._socket, select.POLLIN, partial(self._socket.recv_into, buffer), self._patience)
        self.ended = count == 0
        self._patience.came(count)
        return count

    def send(self, content: bytes) -> None:
        """Send all of it."""
        while content:
            sent = eventually(self._socket, select.POLLOUT, partial(self._socket.send, content), self._patience)
            content = content[sent:]

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the file that an HTTP answer is read from; closing it closes this."""
        return io.BufferedReader(self, BUFFER_BYTES)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
        super().close()


def connect(host: str, port: int, tls: ssl.SSLContext | None, patience: Patience) -> Wire:
    """Return a connection to the first address of a host that takes one. Raises what a Wire raises."""
    connected = _connect_to_any(_resolve(host, port, patience), patience)
    try:
        if tls:
            connected = tls.wrap_socket(connected, server_hostname=host, do_handshake_on_connect=False)
            eventually(connected, select.POLLIN, connected.do_handshake, patience)
    except BaseException:
        connected.close()
        raise
    patience.begin(SLOW_SECONDS)
    return Wire(connected, patience)


def eventually(on: socket.socket, event: int, operation: Callable[[], Result], patience: Patience) -> Result:
    """Return what `operation` returns as soon as it has no need to wait for `event` (of `select.poll`) on a socket."""
    while True:
        seconds = patience.check()
        try:
            return operation()
        except ssl.SSLWantReadError:
            _wait(on, select.POLLIN, seconds)
        except ssl.SSLWantWriteError:
            _wait(on, select.POLLOUT, seconds)
        except BlockingIOError:
            _wait(on, event, seconds)
        except (OSError, ValueError) as error:
            raise failure(error) from error


def failure(error: Exception) -> DownloadFailed | OSError:
    """Return what an error of the network means for a download: nothing that another machine could not do."""
    if isinstance(error, ssl.SSLError):
        return _failure_of_tls(error)
    if not isinstance(error, OSError):
        return DownloadFailed("the host's name cannot be read")
    looked_up = isinstance(error, socket.gaierror)
    if error.errno in (OF_THIS_RESOLVER if looked_up else OF_THIS_MACHINE):
        return OSError(error.errno, error.strerror)
    if looked_up and error.errno != socket.EAI_AGAIN:
        return DownloadFailed(f"the host is not known: {error.strerror}")
    return MayPass(error.strerror or type(error).__name__)


def _failure_of_tls(error: ssl.SSLError) -> DownloadFailed:
    if isinstance(error, ssl.SSLCertVerificationError):
        return DownloadFailed(f"the certificate cannot be trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLEOFError):
        return MayPass("the connection ended early")
    return DownloadFailed(f"no TLS: {error.reason}")


def _wait(on: socket.socket, event: int, seconds: float) -> None:
    poll = select.poll()
    poll.register(on, event)
    poll.poll(seconds * 1000)


def _resolve(host: str, port: int, patience: Patience) -> list[Address]:
    patience.begin(SLOW_SECONDS)
    try:
        return look_up(host, port, patience.check)
    except (OSError, ValueError) as error:
        raise failure(error) from error


def _connect_to_any(addresses: list[Address], patience: Patience) -> socket.socket:
    reason = MayPass("the host has no address")
    for address in addresses:
        try:
            return _connect_to(address, patience)
        except MayPass as error:
            reason = error
    raise reason


def _connect_to(address: Address, patience: Patience) -> socket.socket:
    family, kind, protocol, _, place = address
    try:
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise failure(error) from error
    try:
        opened.setblocking(False)
        patience.begin(CONNECT_SECONDS)
        eventually(opened, select.POLLOUT, partial(opened.connect, place), patience)
    except BaseException:
        opened.close()
        raise
    return opened
