"""All connections of a process, and which of them are closed when there are too many."""

from __future__ import annotations

import time

import gevent

from jobqueue.web.server.connection import Connection, Phase

MAX_UNSENT_BYTES = 64 * 1024 * 1024
STALLED = 0.05
"""The part of its time limit that a reader must have used up before it is closed for those who read faster."""

SHARE_CLOSED = 50


class ConnectionTable:
    """The connections of a process, at most `limit` of them.

    A newcomer is always served: for it, those are closed that have used up most of their time limits, such as the
    silent ones and those that send or read slowest. A connection whose request runs is never closed. While `is_ending`,
    every connection is closed after its next answer.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.unsent_bytes = 0
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
        slowest = sorted(self._connections, key=lambda connection: connection.overdue(now), reverse=True)[:count]
        for connection in slowest:
            if connection.phase is not Phase.RUNNING:
                connection.hang_up()

    def holds_too_much(self) -> bool:
        """Whether the answers that clients have not taken yet need too much memory."""
        return self.unsent_bytes > MAX_UNSENT_BYTES

    def close_stalled_readers(self) -> None:
        """Close the slowest readers until the others' answers fit into memory."""
        now = time.monotonic()
        readers = [each for each in self._connections if each.phase is Phase.ANSWER and each.overdue(now) > STALLED]
        excess = self.unsent_bytes - MAX_UNSENT_BYTES
        for reader in sorted(readers, key=lambda each: each.overdue(now), reverse=True):
            if excess <= 0:
                return
            excess -= reader.unsent_bytes
            reader.abort()

    def close_idle(self, *others: Phase) -> None:
        """Close the connections on which no request has begun, and those in other phases."""
        for connection in list(self._connections):
            if connection.phase in {Phase.IDLE, *others}:
                connection.hang_up()

    def yield_to_others(self) -> None:
        """Let every greenlet run that can run."""
        gevent.sleep(0)
