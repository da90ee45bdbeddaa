"""What may be asked again, and how long to wait before it is."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TypeVar

from jobqueue.client.transport import ApiUnavailable

T = TypeVar("T")

MAY_REPEAT = {
    "submit": False,  # a lost answer may hide a stored job: repeating would run it twice
    "claim": False,  # a lost answer hides a running attempt; its lease frees the job, a new claim takes another
    "heartbeat": True,
    "complete": True,  # the attempt token tells a repeat from a second result
    "fail": True,
    "get": True,
}

Pause = Callable[[float], bool]
"""Waits that many seconds; False says to stop waiting and give up."""


def backoff(first_seconds: float, longest_seconds: float) -> Iterator[float]:
    """Yield waiting times for ever: random ones ("full jitter"), below a bound that doubles until it is the longest."""
    bound = first_seconds
    while True:
        yield random.uniform(0, bound)
        bound = min(bound * 2, longest_seconds)


def until_answered(verb: str, call: Callable[[], T], pause: Pause) -> T:
    """Make a call until the API answers it, yes or no. Raises ApiUnavailable when `pause` gives up.

    Raises ValueError for a verb that MAY_REPEAT does not allow.
    """
    if not MAY_REPEAT[verb]:
        raise ValueError(f"{verb} must not be repeated")
    for seconds in backoff(0.25, 5):
        try:
            return call()
        except ApiUnavailable:
            if not pause(seconds):
                raise
    raise AssertionError("backoff never ends")
