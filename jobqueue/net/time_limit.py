"""The time limit of one operation on the network: its deadline, what may stop it, and the speed it must keep."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Event

TICK_SECONDS = 0.25
"""Longest time between two checks of a time limit, hence the longest time before a stop is noticed."""


class TimeLimitExceeded(Exception):
    """The operation took too long."""


class DeadlinePassed(TimeLimitExceeded):
    """The operation was not finished at its deadline."""


class TooSlow(TimeLimitExceeded):
    """The peer sent fewer bytes than the minimum speed demands."""


class Silent(TimeLimitExceeded):
    """No byte passed, in neither direction, for as long as the limit tolerates."""


class Stopped(Exception):
    """The operation's stop event was set."""


@dataclass(frozen=True)
class MinimumSpeed:
    """The fewest bytes per second that a peer may send on average, measured over windows of `window_seconds`."""

    bytes_per_second: float = 1024
    window_seconds: float = 30.0


class TimeLimit:
    """The time limit of one operation, retries and pauses included. For one thread.

    The deadline is `seconds` from now. `stopped` ends the operation early. Without a `speed` a slow peer is tolerated
    until the deadline. With `silence_seconds` the operation also ends when nothing has passed for that long.
    """

    def __init__(
        self,
        seconds: float,
        stopped: Event | None = None,
        speed: MinimumSpeed | None = None,
        silence_seconds: float | None = None,
    ) -> None:
        self._seconds = seconds
        self._silence_seconds = silence_seconds
        self._deadline = time.monotonic() + seconds
        self._stopped = stopped or Event()
        self._speed = speed
        self.begin_window()

    @property
    def left_seconds(self) -> float:
        """Seconds until the deadline; 0 after it."""
        return max(0.0, self._deadline - time.monotonic())

    def extend(self, seconds: float) -> None:
        """Make the deadline so many seconds later."""
        self._deadline += seconds

    def tolerate_silence(self, seconds: float | None) -> None:
        """Let a silence of that length end the operation from now on, None for none."""
        self._silence_seconds = seconds

    def begin_window(self, seconds: float | None = None) -> None:
        """Measure the speed anew from now on: at the end of this window, and of each later one of the same length.

        A window is as long as the minimum speed says, unless `seconds` is given.
        """
        self._window_seconds = seconds or (self._speed.window_seconds if self._speed else 0.0)
        self._window_end = time.monotonic() + self._window_seconds
        self._byte_count = 0
        self.note_progress()

    def count(self, byte_count: int) -> None:
        """Count bytes that the peer sent."""
        self._byte_count += byte_count
        self.note_progress()

    def note_progress(self) -> None:
        """Note that something has passed, in either direction: the silence begins anew."""
        self._progress_at = time.monotonic()

    def check(self) -> float:
        """Return for how many seconds to wait, at most, before the next check.

        Raises Stopped, DeadlinePassed, TooSlow, Silent.
        """
        if self._stopped.is_set():
            raise Stopped
        now = time.monotonic()
        if now >= self._deadline:
            raise DeadlinePassed(f"not finished within {self._seconds:g} s")
        if self._speed and now >= self._window_end:
            self._measure(self._speed)
        if self._silence_seconds is None:
            return min(TICK_SECONDS, self._deadline - now)
        silence_left = self._progress_at + self._silence_seconds - now
        if silence_left <= 0:
            raise Silent(f"nothing passed for {self._silence_seconds:g} s")
        return min(TICK_SECONDS, self._deadline - now, silence_left)

    def pause(self, seconds: float) -> bool:
        """Wait that long, though not past the deadline; return whether the operation was stopped meanwhile."""
        return self._stopped.wait(min(seconds, self.left_seconds))

    def _measure(self, speed: MinimumSpeed) -> None:
        if self._byte_count < self._window_seconds * speed.bytes_per_second:
            raise TooSlow(f"too slow: {self._byte_count} bytes in {self._window_seconds:g} s")
        self.begin_window(self._window_seconds)
