"""What the scripts refuse, and the error for each refusal."""

from __future__ import annotations

from collections.abc import Sequence

from jobqueue.errors import (
    IdempotencyKeyReused,
    JobNotFound,
    JobQueueError,
    LeaseLost,
    NotHeld,
    NotPending,
    NotRunning,
    QueueFull,
    TooManyExecutors,
    TooManyTypes,
)

REFUSALS: dict[str, type[JobQueueError]] = {
    "IDEMPOTENCY_KEY_REUSED": IdempotencyKeyReused,
    "JOB_NOT_FOUND": JobNotFound,
    "NOT_PENDING": NotPending,
    "NOT_HELD": NotHeld,
    "NOT_RUNNING": NotRunning,
    "LEASE_LOST": LeaseLost,
    "QUEUE_FULL": QueueFull,
    "TOO_MANY_TYPES": TooManyTypes,
    "TOO_MANY_EXECUTORS": TooManyExecutors,
}
LIMITS: dict[str, Sequence[str]] = {
    "QUEUE_FULL": ("limit", "pending", "type"),
    "TOO_MANY_TYPES": ("limit", "type"),
    "TOO_MANY_EXECUTORS": ("limit",),
}
"""The facts of the refusals that have others than a status, in the order in which the scripts write them."""
NUMBERS = ("limit", "pending")


def refusal(text: str) -> JobQueueError | None:
    """Return the error for a refusal ("NOT_PENDING running"); None if the text is not a refusal."""
    code, _, words = text.partition(" ")
    if code not in REFUSALS:
        return None
    facts = zip(LIMITS.get(code, ("status",)), words.split(), strict=False)
    return REFUSALS[code](**{name: int(word) if name in NUMBERS else word for name, word in facts})
