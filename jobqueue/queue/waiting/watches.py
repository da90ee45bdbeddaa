"""Lets readers of a job wait for its end or its output."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

from jobqueue.queue.waiting.listener import Listener, Watch
from jobqueue.queue.waiting.wait import Client

T = TypeVar("T")

ENDED, OUTPUT = "ended", "output"
"""What a notice about a job says: `lua/lib/jobs/end_job.lua` and `lua/lib/leases/keep_live.lua` publish them."""

CONFIRM_SECONDS = 0.1
"""How long to wait until Redis sends notices, before the first read. A notice that comes earlier is lost."""

LOOK_SECONDS = 2.0
"""A reader looks for itself so often, in case that a notice was lost."""


@dataclass(frozen=True)
class Wait:
    """A reader that waits: for which job, for which notices, how long, and who asks."""

    job_id: str
    wants: tuple[str, ...]
    seconds: float
    client: Client


class Watches:
    """The readers that wait in this process. Without a listener, they only look for themselves."""

    def __init__(self, listener: Listener | None = None) -> None:
        self._listener = listener
        self._is_ending = False
        self._lock = threading.Lock()
        self._waiting: set[Watch] = set()

    def read(self, wait: Wait, read: Callable[[], T], is_enough: Callable[[T], bool]) -> T:
        """Return what `read` returns as soon as it is enough, or at the end of the wait. Raises what `read` raises."""
        deadline = time.monotonic() + wait.seconds
        with self._watching(wait) as watch:
            with self._lock:
                self._waiting.add(watch)
            try:
                if self._listener is not None and self._listener.hears:
                    with wait.client.waiting():
                        watch.confirmed.wait(min(CONFIRM_SECONDS, wait.seconds))
                while True:
                    watch.noticed.clear()
                    value = read()
                    left = deadline - time.monotonic()
                    if is_enough(value) or left <= 0 or self._is_ending or not wait.client.may_wait():
                        return value
                    with wait.client.waiting():
                        watch.noticed.wait(min(left, LOOK_SECONDS))
                    if not wait.client.is_connected():
                        return value
            finally:
                with self._lock:
                    self._waiting.discard(watch)

    def _watching(self, wait: Wait) -> AbstractContextManager[Watch]:
        if self._listener is None:
            return nullcontext(Watch(frozenset(wait.wants)))
        return self._listener.watching(wait.job_id, *wait.wants)

    def recheck(self) -> None:
        """Have every reader look again, and see whether its client may still wait."""
        with self._lock:
            for watch in self._waiting:
                watch.noticed.set()

    def end(self) -> None:
        """Have every reader answered at once, now and from now on."""
        with self._lock:
            self._is_ending = True
            for watch in self._waiting:
                watch.noticed.set()
