"""The time limit of the operation under way.

redis-py has a time-out for each read, each write and each step of a connection, and their sum has no bound. Here every
wait takes what is left of one limit instead. redis-py has no argument that could carry it, so a context variable does:
it belongs to one thread (or greenlet).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, Token

OPERATION_SECONDS = 4.0
"""The longest time that one call may need, all included. An answer of the API is due after five seconds."""


class Limit:
    """A time limit that ends so many seconds from now."""

    __slots__ = ("deadline",)

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds

    @property
    def left_seconds(self) -> float:
        """Seconds until the deadline; 0 after it."""
        return max(0.0, self.deadline - time.monotonic())


_current: ContextVar[Limit | None] = ContextVar("redis_limit", default=None)


class _Limited:
    """A context with a time limit. Every call enters several, so it is not made of a generator."""

    __slots__ = ("_seconds", "_token")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        limit, around = Limit(self._seconds), _current.get()
        if around is not None and around.deadline < limit.deadline:
            limit.deadline = around.deadline
        self._token: Token[Limit | None] = _current.set(limit)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


def limited(seconds: float = OPERATION_SECONDS) -> AbstractContextManager[None]:
    """Let everything inside take that long together, and never longer than the limit around it."""
    return _Limited(seconds)


@contextmanager
def not_counted() -> Iterator[None]:
    """Leave out of the limit around it the time that passes inside, such as a wait for a client."""
    around, began_at = _current.get(), time.monotonic()
    try:
        yield
    finally:
        if around is not None:
            around.deadline += time.monotonic() - began_at


def current() -> Limit:
    """Return the limit of the operation under way; a new one outside of any."""
    return _current.get() or Limit(OPERATION_SECONDS)
