"""Requests that were refused because their token is missing or unknown, summed up for the record of activity."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

from jobqueue.errors import JobQueueError
from jobqueue.queue.records.activity import Who

ACTION = "refused_sign_in"
LOOK_SECONDS = 1.0
SHORTEST_SECONDS, LONGEST_SECONDS = 60.0, 960.0
"""Between two writes. It doubles as long as requests are refused."""

MOST_ADDRESSES = 3
"""How many addresses a write names. All others are one entry without an address."""


class Refusals:
    """The refused requests of one process.

    Anybody can send them, in any number. If each were written, they would push all else out of the record, and cost
    Redis as much as a request that was let in. So a request only adds one here. The first ones after a quiet time are
    written within a second; while they go on, a write comes after a minute, then two, up to sixteen. That is at most
    four hundred entries a day, of ten thousand that are kept.
    """

    def __init__(
        self, record: Callable[[Who, str, int], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.record = record
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._pause = SHORTEST_SECONDS
        self._next_at = 0.0

    def note(self, address: str | None) -> None:
        """Count a refused request from an address."""
        with self._lock:
            named = address or ""
            if named not in self._counts and len(self._counts) >= MOST_ADDRESSES:
                named = ""
            self._counts[named] += 1

    def write_due(self) -> None:
        """Write what has been counted, if it is time. What cannot be written is written later."""
        now = self._monotonic()
        with self._lock:
            if not self._counts or now < self._next_at:
                return
            counts, self._counts = self._counts, Counter()
            was_quiet = now >= self._next_at + self._pause
            self._pause = SHORTEST_SECONDS if was_quiet else min(2 * self._pause, LONGEST_SECONDS)
            self._next_at = now + self._pause
        while counts:
            address, count = counts.popitem()
            try:
                self.record(Who(address=address), ACTION, count)
            except JobQueueError:
                with self._lock:
                    self._counts.update(counts + Counter({address: count}))
                return

    def start(self) -> None:
        """Write from time to time, in a thread of its own."""
        threading.Thread(target=self._run, name="refusals", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            self.write_due()
