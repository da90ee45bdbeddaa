"""The connections of a pool that nobody uses, the one used last on top."""

from __future__ import annotations

import queue
import threading
import time
from typing import Generic, TypeVar

T = TypeVar("T")


class Idle(Generic[T]):
    """A stack with the methods of `queue.LifoQueue` that redis-py calls.

    A queue of the standard library takes a lock and two conditions at every turn, which under gevent costs more than
    the rest of a call. Here a list does: each of its methods is one step that no thread can interrupt. Only those who
    find the stack empty need more.
    """

    def __init__(self, size: int) -> None:
        self.queue: list[T] = []
        self._size = size
        self.waiting = 0
        self._returned = threading.Condition()

    def put_nowait(self, connection: T) -> None:
        """Add a connection. Raises queue.Full if there are as many as the pool may have."""
        if len(self.queue) >= self._size:
            raise queue.Full
        self.queue.append(connection)
        # Whoever waits has said so before it looked at the stack for the last time. So it has either seen this
        # connection, or it is seen here.
        if self.waiting:
            with self._returned:
                self._returned.notify()

    def get(self, timeout: float) -> T:
        """Take a connection from the top, or wait for one. Raises queue.Empty when the time is over."""
        try:
            return self.queue.pop()
        except IndexError:
            return self._wait(time.monotonic() + timeout)

    def _wait(self, deadline: float) -> T:
        with self._returned:
            self.waiting += 1
            try:
                while not self.queue:
                    if not self._returned.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                        raise queue.Empty
                return self.queue.pop()
            finally:
                self.waiting -= 1
