"""The client at the other end of a request: whether it still waits, and how others are served while it is awaited."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gevent import monkey

from jobqueue.queue.transport.limits import not_counted

LONGEST_WAIT_MS = 5000
"""A client of a claim waits this long (`client/claims.py`). After that nobody takes the job."""

LAST_RECEIVED_OFFSET = 52
"""Where Linux's `struct tcp_info` has the time since the last byte arrived, in milliseconds."""

Poll: Any = monkey.get_original("select", "poll")
"""gevent's own waits even if it must not, and does not know POLLRDHUP."""


def is_waiting(environ: Mapping[str, Any], wait_seconds: float = 0) -> bool:
    """Whether the client of a request has not closed its connection, and has not waited for too long. `wait_seconds` is
    how much longer it has said that it will wait.

    A server process may have been stopped, or so busy that requests were late. Then it finds the requests of clients
    that have gone, as if they had come now. False also for a client that has closed only its sending side: from here
    that looks the same.
    """
    connection = environ.get("gunicorn.socket")
    if connection is None:  # a test that calls the app directly
        return True
    longest_ms = LONGEST_WAIT_MS + 1000 * wait_seconds
    return not _has_closed(connection.fileno()) and _ms_since_arrival(connection) < longest_ms


def _has_closed(descriptor: int) -> bool:
    # Not by a read: further requests may have arrived before the end, and TLS has bytes of its own there.
    ended = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR
    poller = Poll()
    poller.register(descriptor, ended)
    return bool(poller.poll(0))


def _ms_since_arrival(connection: Any) -> int:
    """Return how long ago the last byte of a request arrived in the kernel, 0 where the kernel does not say."""
    if not hasattr(socket, "TCP_INFO"):
        return 0
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, LAST_RECEIVED_OFFSET + 4)
    except OSError:  # a Unix socket
        return 0
    return int(struct.unpack_from("I", info, LAST_RECEIVED_OFFSET)[0])


@contextmanager
def waiting(environ: Mapping[str, Any]) -> Iterator[None]:
    """Let other requests run while this one waits for something. Few requests of a process run at once."""
    place = getattr(environ.get("gunicorn.socket"), "place", None)
    if place is None:
        yield
        return
    with place.given_up():
        yield


class Client:
    """The client of a request that waits for something to happen; what `queue.waiting` asks about it.

    `is_allowed` says whether it may still do what it has asked for.
    """

    def __init__(self, environ: Mapping[str, Any], is_allowed: Callable[[], bool] = lambda: True) -> None:
        self._environ = environ
        self._is_allowed = is_allowed
        self._connection = environ.get("gunicorn.socket")
        self._table = getattr(self._connection, "table", None)

    def is_connected(self) -> bool:
        """Whether the client has not closed its connection, and may still ask. How long it has waited does not
        matter: it said so.
        """
        return self._is_allowed() and (self._connection is None or not _has_closed(self._connection.fileno()))

    def may_wait(self) -> bool:
        """Whether the process has connections enough for the others when this request waits."""
        return self._table is None or self._table.may_wait

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let other requests run meanwhile, and leave the time out of the time limit of this one."""
        with not_counted(), waiting(self._environ), self._counted():
            yield

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._table is None:
            yield
            return
        self._table.waiting += 1
        try:
            yield
        finally:
            self._table.waiting -= 1
