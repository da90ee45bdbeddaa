"""Requests that wait, in threads of the test."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from jobqueue.queue.scripts import Call
from jobqueue.queue.waiting.neighbours import SIZE, Neighbours, Region
from jobqueue.queue.waiting.wait import Attempt, Outcome, Wait
from jobqueue.queue.waiting.waiters import Waiters
from tests.support.waiting import wait_until

LONG_SECONDS = 60.0
"""Longer than any test: what waits so long was not woken."""


@dataclass
class Caller:
    """A client of a request that waits. `connected` says whether it is still there."""

    connected: bool = True
    room: bool = True

    def is_connected(self) -> bool:
        return self.connected

    def may_wait(self) -> bool:
        return self.room

    @contextmanager
    def waiting(self) -> Iterator[None]:
        yield


@dataclass
class Jobs:
    """In the place of the queue: jobs by type, and who has asked, in order."""

    pending: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    failure: Exception | None = None

    def claim(self, executor_id: str, types: frozenset[str]) -> Attempt[str]:
        """Take the first job of one of these types."""
        with self.lock:
            self.asked.append(executor_id)
            if self.failure is not None:
                raise self.failure
            found = next((job for job in self.pending if not types or job in types), None)
            if found is None:
                return Attempt("", [])
            self.pending.remove(found)
            return Attempt(found, [found])


@dataclass
class Question:
    """How a claim of a room goes along with a job. It is answered with what it got, or an error."""

    name: str

    def call(self) -> Call:
        return "claim", [self.name]

    def read(self, answer: Any) -> Attempt[str]:
        if isinstance(answer, Exception):
            raise answer
        return cast("Attempt[str]", answer)


@dataclass
class Room:
    """Claims that wait in one process for the jobs of a list."""

    pool: ThreadPoolExecutor
    jobs: Jobs = field(default_factory=Jobs)
    waiters: Waiters = field(default_factory=Waiters)

    def enter(
        self, name: str, *types: str, client: Caller | None = None, seconds: float = LONG_SECONDS
    ) -> Future[Outcome[str]]:
        """Let a claim begin to wait; returns when it is in the line."""
        wait = Wait(name, frozenset(types), seconds, client or Caller(), along=Question(name))
        before = self.in_line()
        claim: Callable[[], Attempt[str]] = lambda: self.jobs.claim(name, frozenset(types))  # noqa: E731
        claiming = self.pool.submit(self.waiters.claim, wait, claim)
        wait_until(f"{name} waits", lambda: claiming.done() or self.in_line() > before)
        return claiming

    def in_line(self) -> int:
        """Return how many claims wait."""
        return self.waiters.in_line

    def submit(self, *types: str) -> None:
        """Make jobs pending and send the notice of them."""
        self.jobs.pending += types
        self.waiters.notice([(types.count(type), type) for type in dict.fromkeys(types)], "1")


def found(claiming: Future[Outcome[str]]) -> str | None:
    """Return what a claim has got, as soon as it is answered."""
    return claiming.result(LONG_SECONDS).found


def neighbours() -> tuple[Neighbours, Neighbours]:
    """Two processes that share memory."""
    parts = [memoryview(bytearray(SIZE)) for _ in range(2)]
    pair = [[Region(part) for part in parts] for _ in range(2)]
    pair[0][0].clear()
    pair[1][1].clear()
    used = memoryview(array("Q", [2]))
    return Neighbours(pair[0][0], pair[0], used), Neighbours(pair[1][1], pair[1], used)


@contextmanager
def room() -> Iterator[Room]:
    """A room in which nobody waits yet. Whoever waits at the end is sent away."""
    with ThreadPoolExecutor(50) as pool:
        opened = Room(pool)
        try:
            yield opened
        finally:
            opened.waiters.end()
            for waiting in [*opened.waiters._all.values()]:
                if waiting.companion is not None:
                    waiting.companion.landed.set()
