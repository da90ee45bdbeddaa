"""Looks for itself every second, for all claims that wait in a process, so that a lost notice costs a second."""

from __future__ import annotations

import threading
import time
from collections import deque

from jobqueue import logs
from jobqueue.errors import JobQueueError, StoreUnavailable
from jobqueue.queue.commands import Commands
from jobqueue.queue.transport.limits import limited
from jobqueue.queue.waiting.notices import Types
from jobqueue.queue.waiting.waiters import Waiters

INTERVAL_SECONDS = 1.0
DELAY_SECONDS = 0.1
"""How long after it was asked for a look begins. What is asked for meanwhile needs no look of its own, and the job that
was left to another process has been claimed there by then.
"""

AWAY_SECONDS = 2.0
"""How long looks may fail until the claims that wait are answered with the error. They do not notice a shorter outage,
such as a restart of Redis.
"""

AGAIN_SECONDS = 0.25
LOOK_SECONDS = 3.0
"""Room for an answer that does not come, and for the question whether Redis is away or only this connection is."""

MAX_GROUPS = 20
"""How many sets of types one look looks for. When there are more, each has its turn."""

EXECUTORS, EXECUTORS_SHARE = 100, 4
"""How many executors one look notes as asking: so many, or this part of all that wait. A thousand that have begun at
once are not noted at once, which would keep everybody else waiting for milliseconds.
"""

SEEN_SECONDS = 5.0
"""How long a noted executor counts as asking, or half its time-out if that is less."""


class Looker:
    """A thread that looks for pending jobs as long as claims wait, and notes that their executors still ask."""

    def __init__(self, commands: Commands, waiters: Waiters, executor_timeout_ms: int) -> None:
        self._commands = commands
        self._waiters = waiters
        self._seen_seconds = min(SEEN_SECONDS, executor_timeout_ms / 2000)
        self._turns: deque[Types] = deque()
        self._failing_since: float | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="looker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking. Returns when the thread has ended."""
        self._stopped.set()
        self._waiters.poked.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            poked = self._waiters.poked
            poked.wait(self._pause_seconds())
            self._stopped.wait(DELAY_SECONDS)
            poked.clear()
            self.look()

    def _pause_seconds(self) -> float | None:
        if self._failing_since is not None:
            return AGAIN_SECONDS
        return INTERVAL_SECONDS if self._waiters.need_looks() else None

    def look(self) -> None:
        """Look once. An error is not raised: the claims that wait get it when it lasts."""
        count = max(EXECUTORS, len(self._waiters) // EXECUTORS_SHARE)
        executor_ids = self._waiters.take_unseen(count, self._seen_seconds)
        number, groups = self._waiters.groups()
        groups = self._next_in_turn(groups)
        if not executor_ids and not groups:
            self._failing_since = None
            return
        began_at = time.monotonic()
        try:
            with limited(LOOK_SECONDS):
                counts = self._commands.look(executor_ids, [sorted(types) for types in groups])
        except Exception as error:  # noqa: BLE001  # the thread must outlive whatever one look meets
            self._note_failure(error, began_at)
            return
        self._failing_since = None
        for types, count in zip(groups, counts, strict=True):
            self._waiters.found(number, types, count)

    def _next_in_turn(self, groups: list[Types]) -> list[Types]:
        """Return at most MAX_GROUPS of the groups: those that were left out longest."""
        if len(groups) <= MAX_GROUPS:
            return groups
        known = set(groups)
        self._turns = deque(types for types in self._turns if types in known)
        self._turns.extend(known.difference(self._turns))
        chosen = [self._turns.popleft() for _ in range(MAX_GROUPS)]
        self._turns.extend(chosen)
        return chosen

    def _note_failure(self, error: Exception, began_at: float) -> None:
        if not isinstance(error, JobQueueError):
            logs.logger().exception("look_failed", reason=str(error))
        if self._failing_since is None:
            self._failing_since = began_at
        if time.monotonic() - self._failing_since >= AWAY_SECONDS:
            self._waiters.fail(StoreUnavailable())
