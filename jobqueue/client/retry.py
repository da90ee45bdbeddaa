"""What may be asked again, and how long to wait before it is."""

from __future__ import annotations

import random
from collections.abc import Iterator

MAY_REPEAT = {
    "submit": False,  # a lost answer may hide a stored job: repeating would run it twice
    "claim": False,  # a lost answer hides a running attempt; its lease frees the job, a new claim takes another
    "heartbeat": True,
    "complete": True,  # the attempt token tells a repeat from a second result
    "fail": True,
    "release": True,  # the first one ended the attempt: a repeat is refused and changes nothing
    "get": True,
}


def backoff(first_seconds: float, longest_seconds: float) -> Iterator[float]:
    """Yield waiting times for ever: random ones ("full jitter"), below a bound that doubles until it is the longest."""
    bound = first_seconds
    while True:
        yield random.uniform(0, bound)
        bound = min(bound * 2, longest_seconds)
