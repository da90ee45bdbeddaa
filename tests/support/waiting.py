"""Waits for what happens in another process or thread."""

from __future__ import annotations

import time
from collections.abc import Callable

TIME_LIMIT_SECONDS = 60.0
"""Ends a wait for something that never happens. It says nothing about how soon that should happen, so it leaves room
for a busy machine; a test that is about a duration gives its own.
"""


SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.005, 0.05
PAUSES_PER_CONDITION = 3
"""A pause is so many times as long as the look at the condition before it. Otherwise a test that asks a server would
take the processor from the very processes that it waits for.
"""


def wait_until(what: str, condition: Callable[[], bool], seconds: float = TIME_LIMIT_SECONDS) -> None:
    """Return as soon as `condition` holds. Fail and name `what` was awaited if it does not hold in time."""
    deadline = time.monotonic() + seconds
    while True:
        looked_at = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        assert now < deadline, f"not within {seconds} s: {what}"
        # The condition is about another process: there is no event to wait for.
        pause_seconds = PAUSES_PER_CONDITION * (now - looked_at)
        time.sleep(min(max(pause_seconds, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS))
