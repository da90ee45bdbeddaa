"""How many requests of a process run at once.

gevent would start any number. But each needs a connection to Redis, of which there are few, and a large answer takes
the processor for a tenth of a second, during which nothing else runs. So few run, the others wait in line, and those
that keep the queue alive have a line of their own: a probe that fails has the server restarted, and a heartbeat that
comes too late costs an executor its job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
from gevent.lock import DummySemaphore, Semaphore

from jobqueue.queue.transport.limits import OPERATION_SECONDS, limited
from jobqueue.web.server.connections.connection import Connection
from jobqueue.web.server.connections.table import ConnectionTable
from jobqueue.web.server.error_page import answer_busy

ORDINARY_PLACES = 4
"""Half of the connections to Redis (`MAX_CONNECTIONS`): the other half is left to urgent requests and the sweeper.
Eight made 300 clients with large answers delay probes twice as long, and served no more requests per second.
"""

URGENT_PLACES = 4
WAIT_SECONDS = 4.2
"""How long a request waits for its place before it is answered 503. That is longer than the requests before it can wait
for a Redis that has fallen silent: they find out that it is away, and this one is told so.
"""

REQUEST_SECONDS = 4.6
"""What a request may spend on its place and on Redis together. Every answer is due after five seconds."""

POLL_SECONDS = 0.05

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Place:
    """The right of one request to run. It is given up while the request waits for its client."""

    def __init__(self, places: Semaphore | DummySemaphore) -> None:
        self._places = places
        self._is_held = True

    @contextmanager
    def given_up(self) -> Iterator[None]:
        """Let another request run meanwhile."""
        if not self._is_held:  # given up by a caller of this caller
            yield
            return
        self._is_held = False
        self._places.release()
        try:
            yield
        finally:
            self._places.acquire()
            self._is_held = True


class Gate:
    """A WSGI app that runs another one, a few requests at a time. Their answers are sent outside."""

    def __init__(self, app: App, table: ConnectionTable, wait_seconds: float = WAIT_SECONDS) -> None:
        self._app = app
        self._table = table
        self._wait_seconds = wait_seconds
        self._ordinary = Semaphore(ORDINARY_PLACES)
        self._urgent = Semaphore(URGENT_PLACES)
        self._unlimited = DummySemaphore()
        self._turn = Semaphore(1)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Run a request when it is its turn; answer 503 if that takes too long."""
        places: Semaphore | DummySemaphore
        connection: Connection = environ["gunicorn.socket"]
        deadline = time.monotonic() + self._wait_seconds
        if environ["PATH_INFO"].endswith("/health/live"):  # it waits for nothing, and nothing may make it wait
            places, has_place = self._unlimited, True
        elif is_urgent(environ["REQUEST_METHOD"], environ["PATH_INFO"]):
            places, has_place = self._urgent, self._urgent.acquire(timeout=_until(deadline))
        else:
            places, has_place = self._ordinary, self._may_begin(deadline)
        if not has_place:
            connection.settle_body()
            return answer_busy(start_response)
        connection.place = Place(places)
        try:
            with limited(min(OPERATION_SECONDS, REQUEST_SECONDS - self._wait_seconds + _until(deadline))):
                return self._app(environ, start_response)
        finally:
            connection.place = None
            connection.free()
            places.release()
            connection.settle_body()

    def _may_begin(self, deadline: float) -> bool:
        """Wait for a place for another ordinary request; return whether there was one before the deadline."""
        if not self._turn.acquire(timeout=_until(deadline)):
            return False
        try:
            # Whatever else is ready runs between the beginnings of two requests. Otherwise a probe, which needs several
            # turns of the loop, would wait at each of them for as many requests as there are places.
            gevent.sleep(0)
            return self._answers_are_taken(deadline) and bool(self._ordinary.acquire(timeout=_until(deadline)))
        finally:
            self._turn.release()

    def _answers_are_taken(self, deadline: float) -> bool:
        """Wait until the answers that clients have not taken yet leave memory for another one."""
        while self._table.holds_too_much():
            self._table.close_stalled_readers()
            if time.monotonic() > deadline:
                return False
            gevent.sleep(POLL_SECONDS)
        return True


def is_urgent(method: str, path: str) -> bool:
    """Whether a request keeps the queue alive: the health check, or a heartbeat."""
    return path.endswith("/health") or (method == "PUT" and path.endswith("/heartbeat"))


def _until(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
