"""Which HTTP statuses are worth another try."""

from __future__ import annotations

from http import HTTPStatus

PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""Client errors that may be gone the next time. So may every server error."""


def is_retryable(status: int) -> bool:
    """Whether the same request may succeed later."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in PASSING
