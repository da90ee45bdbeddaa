"""What a connection waits for, and how long it may still do so."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True)
class TimeLimits:
    """How long a client may take, in seconds.

    head: for the request line and headers, from their first byte or the opening of the connection.
    idle: between two requests. body, answer: without a byte; each KiB buys a second, up to this much. So a client must
    keep to 1 KiB/s on the average. The kernel reports what a client has taken in large pieces, hence the longer
    `answer`. closing: without a byte, for the client to close its side of a connection that this side has closed.
    closing_at_most: the same, however much it sends.
    """

    head: float = 10.0
    idle: float = 75.0
    body: float = 10.0
    answer: float = 30.0
    closing: float = 2.0
    closing_at_most: float = 20.0
    bytes_per_second: int = 1024


class Phase(Enum):
    """What a connection waits for."""

    HEAD = auto()
    RUNNING = auto()
    BODY = auto()
    ANSWER = auto()
    IDLE = auto()
    CLOSING = auto()


class Countdown:
    """The time limit of what a connection waits for now. `phase` says what that is."""

    def __init__(self, phase: Phase, limit_seconds: float) -> None:
        self.start(phase, limit_seconds)

    def start(self, phase: Phase, limit_seconds: float, seconds_left: float | None = None) -> None:
        """Start to wait for something else: for the whole limit, or what is left of it."""
        self.phase = phase
        self._limit_seconds = limit_seconds
        self._deadline = time.monotonic() + (limit_seconds if seconds_left is None else seconds_left)

    def extend(self, seconds: float) -> None:
        """Put off the end, but never further than the whole limit from now."""
        self._deadline = min(self._deadline + seconds, time.monotonic() + self._limit_seconds)

    def seconds_left(self) -> float:
        """Return the seconds that are left; none or fewer when the time is over."""
        return self._deadline - time.monotonic()

    def remaining(self) -> float:
        """Return the seconds that are left. Raises TimeoutError."""
        remaining = self.seconds_left()
        if remaining <= 0:
            raise TimeoutError("timed out")
        return remaining

    def overdue(self, now: float) -> float:
        """Return how much of the time limit has been used up, from 0 to 1; -1 while the request runs."""
        if self.phase is Phase.RUNNING:
            return -1.0
        return 1 - (self._deadline - now) / self._limit_seconds

    def waited_seconds(self, now: float) -> float:
        """Return how long the connection has waited for what it waits for."""
        return self._limit_seconds - (self._deadline - now)
