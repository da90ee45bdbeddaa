"""All connections of a process, what they wait for, and which of them are closed when there are too many."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import gevent

from jobqueue.errors import ServerBusy
from jobqueue.web.server.connections.countdown import Phase

if TYPE_CHECKING:
    from jobqueue.web.server.connections.connection import Connection

MAX_UNSENT_BYTES = 64 * 1024 * 1024
STALLED = 0.05
"""The part of its time limit that a client must have used up before it is closed for those who are faster."""

MAX_HEAD_BYTES = 16 * 1024 * 1024
"""Of all heads that have begun to arrive."""

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Of all bodies, as far as each is read without a place for large ones (`web/bodies/large.py`)."""

BODY_WAIT_SECONDS = 3.5
POLL_SECONDS = 0.05
LOOK_SECONDS = 0.02
"""Time between two looks for connections to close: a look at thousands of them takes milliseconds."""
SHARE_CLOSED = 50
WAITING_SHARE = 0.75
"""The part of the connections on which requests may wait for something to happen."""

IDLE_SECONDS = 0.5


class ConnectionTable:
    """The connections of a process, at most `limit` of them.

    A newcomer is always served: for it, those are closed that have used up most of their time limits, such as the
    silent ones and those that send or read slowest. A connection whose request runs is never closed. While `is_ending`,
    every connection is closed after its next answer.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.unsent_bytes = 0
        self.head_bytes = 0
        self.body_bytes = 0
        self.waiting = 0
        self._next_look_at = 0.0
        self.is_ending = False
        self._connections: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: Connection) -> None:
        """Add a connection."""
        self._connections.add(connection)

    def remove(self, connection: Connection) -> None:
        """Remove a connection that has ended."""
        self._connections.discard(connection)

    def make_room(self) -> None:
        """Return as soon as another connection may be added."""
        while len(self._connections) >= self.limit:
            self.close_slowest(1 + self.limit // SHARE_CLOSED)
            gevent.sleep(0.001)  # they end when their greenlets run

    def close_slowest(self, count: int) -> None:
        """Close the connections that have used up most of their time limits."""
        now = time.monotonic()
        for connection in slowest_first(self._connections, now)[:count]:
            if connection.countdown.phase is not Phase.RUNNING:
                connection.hang_up()

    @property
    def may_wait(self) -> bool:
        """Whether another request may wait for something. Those that wait are never closed, so they must leave
        connections to the others.
        """
        return self.waiting < self.limit * WAITING_SHARE

    def holds_too_much(self) -> bool:
        """Whether the answers that clients have not taken yet need too much memory."""
        return self.unsent_bytes > MAX_UNSENT_BYTES

    def close_stalled_readers(self) -> None:
        """Close the slowest readers until the others' answers fit into memory."""
        now = time.monotonic()
        readers = [
            each
            for each in self._connections
            if each.countdown.phase is Phase.ANSWER and each.countdown.overdue(now) > STALLED
        ]
        excess = self.unsent_bytes - MAX_UNSENT_BYTES
        for reader in slowest_first(readers, now):
            if excess <= 0:
                return
            excess -= reader.unsent_bytes
            reader.abort()

    def count_head(self, byte_count: int) -> None:
        """Count bytes of a head. When all heads together need too much memory, those that take longest are closed."""
        self.head_bytes += byte_count
        now = time.monotonic()
        if self.head_bytes <= MAX_HEAD_BYTES or now < self._next_look_at:
            return
        self._next_look_at = now + LOOK_SECONDS
        excess = self.head_bytes - MAX_HEAD_BYTES * 9 // 10
        heads = [each for each in self._connections if each.has_begun_a_request]
        for each in slowest_first(heads, now):
            excess -= each.head_bytes
            each.hang_up()
            if excess <= 0:
                return

    def reserve(self, byte_count: int) -> None:
        """Return as soon as there is memory for so many bytes of a body. Raises ServerBusy when it takes too long.

        Clients that have stopped sending are closed for those that send.
        """
        deadline = time.monotonic() + BODY_WAIT_SECONDS
        while self.body_bytes + byte_count > MAX_BODY_BYTES:
            if time.monotonic() > deadline:
                raise ServerBusy
            self._close_stalled_senders()
            gevent.sleep(POLL_SECONDS)
        self.body_bytes += byte_count

    def _close_stalled_senders(self) -> None:
        now = time.monotonic()
        if now < self._next_look_at:  # many wait, and one look is enough for all
            return
        self._next_look_at = now + LOOK_SECONDS
        for each in list(self._connections):
            if each.countdown.phase is Phase.BODY and each.reserved_bytes and each.countdown.overdue(now) > STALLED:
                each.hang_up()

    def close_idle(self, *others: Phase) -> None:
        """Close the connections on which no request has begun for half a second, and those in other phases.

        On one that was in use a moment ago, the next request may be under way. It would be lost.
        """
        now = time.monotonic()
        for connection in list(self._connections):
            is_idle = (
                connection.countdown.phase is Phase.IDLE and connection.countdown.waited_seconds(now) >= IDLE_SECONDS
            )
            if is_idle or connection.countdown.phase in others:
                connection.hang_up()


def slowest_first(connections: Iterable[Connection], now: float) -> list[Connection]:
    """Return connections, those first that have used up most of their time limits."""
    return sorted(connections, key=lambda connection: connection.countdown.overdue(now), reverse=True)
