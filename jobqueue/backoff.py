"""How long to wait before something is asked again."""

from __future__ import annotations

import random
from collections.abc import Iterator

FIRST_PAUSE_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 300.0
MOST_DOUBLINGS = 10


def backoff(first_seconds: float, longest_seconds: float) -> Iterator[float]:
    """Yield waiting times for ever: random ones ("full jitter"), below a bound that doubles until it is the longest."""
    bound = first_seconds
    while True:
        yield random.uniform(0, bound)
        bound = min(bound * 2, longest_seconds)


def growing_pause(doublings: int, first_seconds: float = FIRST_PAUSE_SECONDS) -> float:
    """Return how long to pause: `first_seconds` without a doubling, and never longer than the longest."""
    return min(first_seconds * (1 << min(doublings, MOST_DOUBLINGS)), LONGEST_PAUSE_SECONDS)
