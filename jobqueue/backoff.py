"""How long to pause before the next try."""

from __future__ import annotations

import random
from collections.abc import Iterator

FIRST_PAUSE_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 300.0
MOST_DOUBLINGS = 10
"""Bounds the numbers: after so many doublings FIRST_PAUSE_SECONDS has long become LONGEST_PAUSE_SECONDS."""


def backoff(first_seconds: float, longest_seconds: float) -> Iterator[float]:
    """Yield pauses in seconds, without end.

    Each is random, from 0 up to a bound that starts at `first_seconds` and doubles until it is `longest_seconds`. The
    whole range is random ("full jitter") so that clients that failed together do not come back together.
    """
    bound = first_seconds
    while True:
        yield random.uniform(0, bound)
        bound = min(bound * 2, longest_seconds)


def growing_pause(doublings: int) -> float:
    """Return a pause in seconds: FIRST_PAUSE_SECONDS, doubled so many times, and at most LONGEST_PAUSE_SECONDS."""
    return min(FIRST_PAUSE_SECONDS * (1 << min(doublings, MOST_DOUBLINGS)), LONGEST_PAUSE_SECONDS)
