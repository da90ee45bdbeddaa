"""Whether the API answers reports, and when to try again if it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jobqueue.backoff import backoff

CLOSING_PAUSE_SECONDS = 0.5
"""Longest pause between two tries once the worker is about to end."""


@dataclass(frozen=True)
class TimeLimits:
    """How long one try may take: the first, a later one, one while the worker is ending; and the bounds for the pause
    before a report is sent again. All in seconds.

    A try gets more time for large reports: as much as they take at `bytes_per_second`, the slowest link on which
    reports arrive. A connection that passes nothing at all is given up long before.
    """

    first_try: float = 5.0
    later_try: float = 10.0
    closing_try: float = 3.0
    min_retry_pause: float = 0.25
    max_retry_pause: float = 5.0
    bytes_per_second: float = 16 * 1024

    def pauses(self) -> Iterator[float]:
        """Yield growing pauses."""
        return backoff(self.min_retry_pause, self.max_retry_pause)


class Outage:
    """Whether the last try of all was in vain (`lasts`), and if so, when the next report may be tried that has been
    tried before, and when one that has not (monotonic, seconds).
    """

    def __init__(self, limits: TimeLimits) -> None:
        self._limits = limits
        self.note_answer()

    def note_answer(self) -> None:
        """Note that a report was answered."""
        self.lasts = False
        self.next_try_at = self.next_first_try_at = 0.0
        self._pauses = self._limits.pauses()

    def end_pauses(self, at: float) -> None:
        """Let no pause last longer than until then."""
        self.next_try_at = min(self.next_try_at, at)
        self.next_first_try_at = min(self.next_first_try_at, at)

    def note_failure(self, now: float, longest_pause: float, shortest_pause: float) -> None:
        """Note that a report was not answered. `shortest_pause` is how long the API has asked to be left alone."""
        self.lasts = True
        self.next_try_at = now + max(min(next(self._pauses), longest_pause), shortest_pause)
        self.next_first_try_at = now + max(min(next(self._limits.pauses()), longest_pause), shortest_pause)
