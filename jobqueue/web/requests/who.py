"""Whom the record of activity names for a request."""

from __future__ import annotations

from jobqueue.queue.records.activity import Who
from jobqueue.web.access.callers import caller


def who() -> Who:
    """Return the name of the token with which this request came, and its address."""
    known = caller()
    return Who(known.name, known.address or "")
