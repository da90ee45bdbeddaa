"""Lets only a few large bodies into memory at a time. Small ones pass by."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from jobqueue.errors import ServerBusy
from jobqueue.queue.transport.limits import current
from jobqueue.web.bodies.limits import KIB, MIB

LARGE_BYTES = 256 * KIB
"""The part of any body that is read without waiting for a place. A body that is not longer is small."""

SHORTEST_WAIT_SECONDS = 0.25
"""How often a waiting request looks for clients that send too slowly."""


@dataclass(frozen=True)
class LargeBodyRules:
    """How many large bodies are in memory at once, and how long others wait for a place, or to store what theirs says.

    While others wait, a client has `grace_seconds` from when it got its place, and must then have sent
    `bytes_per_second` since; or its place is taken. Otherwise a few clients that send a byte now and then would keep
    every large report away. While nobody waits, they do no harm.
    """

    at_once: int = 4
    most_waiting: int = 64
    wait_seconds: float = 3.5
    store_wait_seconds: float = 2
    store_seconds: float = 0.5
    grace_seconds: float = 2
    bytes_per_second: float = 1 * MIB


@dataclass(eq=False)
class Place:
    """The place of one large body. `interrupt` makes the reading of it fail at once."""

    interrupt: Callable[[], None]
    since: float
    received_bytes: int = LARGE_BYTES
    is_reading: bool = True
    is_interrupted: bool = False


@dataclass(eq=False)
class LargeBodies:
    """The places for large bodies of one process."""

    rules: LargeBodyRules = field(default_factory=LargeBodyRules)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._places: set[Place] = set()
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()
        self.calculating = threading.Lock()
        """To hold while a body that is not short is parsed: two at once take twice the memory and are no faster."""
        self._storing = threading.Lock()

    def enter(self, interrupt: Callable[[], None]) -> Place:
        """Return a place, which must be given to `leave`. Raises ServerBusy when none becomes free in time.

        Requests get places in the order in which they come here.
        """
        deadline, ticket = self.clock() + self.rules.wait_seconds, object()
        with self._changed:
            if len(self._waiting) >= self.rules.most_waiting:
                raise ServerBusy
            self._waiting.append(ticket)
            try:
                while self._waiting[0] is not ticket or len(self._places) >= self.rules.at_once:
                    self._interrupt_slow_clients()
                    remaining = deadline - self.clock()
                    if remaining <= 0:
                        raise ServerBusy
                    self._changed.wait(min(remaining, SHORTEST_WAIT_SECONDS))
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
            place = Place(interrupt, self.clock())
            self._places.add(place)
            return place

    @contextmanager
    def storing(self, waiting: AbstractContextManager[None]) -> Iterator[None]:
        """Let others wait who want to store much as well, each in its context `waiting`.

        Raises ServerBusy for one that waits for too long.

        Redis serves nobody while it stores thousands of jobs. Several such bulks in its line would keep everybody
        waiting for their sum, and for a while that looks as if Redis were away. A request that has no time left for
        Redis is refused here, too: then it is certain that nothing was stored.
        """
        wait_seconds = min(self.rules.store_wait_seconds, current().left_seconds - self.rules.store_seconds)
        with waiting:
            is_next = wait_seconds >= 0 and self._storing.acquire(timeout=wait_seconds)
        if not is_next:
            raise ServerBusy
        try:
            yield
        finally:
            self._storing.release()

    def leave(self, place: Place) -> None:
        """Make a place free."""
        with self._changed:
            self._places.discard(place)
            self._changed.notify_all()

    def _interrupt_slow_clients(self) -> None:
        for place in list(self._places):
            seconds = self.clock() - place.since
            is_slow = place.received_bytes < seconds * self.rules.bytes_per_second
            if place.is_reading and not place.is_interrupted and seconds > self.rules.grace_seconds and is_slow:
                place.is_interrupted = True
                place.interrupt()
