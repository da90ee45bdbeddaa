"""The time limit of the operation under way.

redis-py has a time-out for each read, each write and each step of a connection, and their sum has no bound. Here every
wait takes what is left of one limit instead. redis-py has no argument that could carry it, so a context variable does:
it belongs to one thread (or greenlet).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from jobqueue.net.time_limit import TimeLimit

OPERATION_SECONDS = 4.0
"""The longest time that one call may need, all included. An answer of the API is due after five seconds."""

_current: ContextVar[TimeLimit | None] = ContextVar("redis_limit", default=None)


@contextmanager
def limited(seconds: float = OPERATION_SECONDS) -> Iterator[None]:
    """Let everything inside take that long together, and never longer than the limit around it."""
    around = _current.get()
    token = _current.set(TimeLimit(seconds if around is None else min(seconds, around.left_seconds)))
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def not_counted() -> Iterator[None]:
    """Leave out of the limit around it the time that passes inside, such as a wait for a client."""
    around, began_at = _current.get(), time.monotonic()
    try:
        yield
    finally:
        if around is not None:
            around.extend(time.monotonic() - began_at)


def current() -> TimeLimit:
    """Return the limit of the operation under way; a new one outside of any."""
    return _current.get() or TimeLimit(OPERATION_SECONDS)
