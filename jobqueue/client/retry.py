"""How long to wait before something is asked again."""

from __future__ import annotations

import random
from collections.abc import Iterator


def backoff(first_seconds: float, longest_seconds: float) -> Iterator[float]:
    """Yield waiting times for ever: random ones ("full jitter"), below a bound that doubles until it is the longest."""
    bound = first_seconds
    while True:
        yield random.uniform(0, bound)
        bound = min(bound * 2, longest_seconds)
