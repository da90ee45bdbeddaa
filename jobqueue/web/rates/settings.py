"""The setting RATE_LIMIT, written as Flask-Limiter writes it: `10/second`, `10 per second; 1000 per hour`."""

from __future__ import annotations

import re

from jobqueue.settings import Setting, allow, declare

MOST_LIMITS = 5
"""Each costs every request a call of Redis."""


def rate_limit() -> str:
    """Declare RATE_LIMIT. The value is "" for no limit, else text that Flask-Limiter can read."""
    meaning = "how many requests each caller may send in a time"
    allowed = "rates such as 10/second or 100/minute, up to 5 with semicolons between"
    return declare(Setting("RATE_LIMIT", "", _parse, allowed, meaning, "none"))


def _parse(text: str) -> str:
    from limits import parse_many  # noqa: PLC0415  # costs a tenth of a second, which only this setting needs

    items = parse_many(text)
    allow(items, all(item.amount > 0 for item in items))
    allow(items, not re.search(r"(/|per)\s*0", text))  # it would take `10 per 0 seconds` for 10 per second
    # Two equal limits would be one counter that counts every request twice.
    different = {(item.amount, item.get_expiry()): item for item in items}
    allow(different, len(different) == len(items) <= MOST_LIMITS)
    return "; ".join(f"{item.amount} per {item.multiples} {item.GRANULARITY.name}" for item in items)
