"""Waits for what happens in another process or thread."""

from __future__ import annotations

import time
from collections.abc import Callable

TIME_LIMIT_SECONDS = 60.0
"""Ends a wait for something that never happens. It says nothing about how soon that should happen, so it leaves room
for a busy machine; a test that is about a duration gives its own.
"""


def wait_until(what: str, condition: Callable[[], bool], seconds: float = TIME_LIMIT_SECONDS) -> None:
    """Return as soon as `condition` holds. Fail and name `what` was awaited if it does not hold in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)  # the condition is about another process: there is no event to wait for
