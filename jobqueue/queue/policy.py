"""How long things last in this queue and how often they may happen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """What the scripts are told at each call. The defaults are the documented ones.

    lease_ms: silence after which an executor has lost its job.
    executor_timeout_ms: silence after which an executor is no longer listed.
    max_attempts: how many executors a job may lose before it fails.
    retention_ms: how long jobs are kept after they ended.
    timeout_seconds: how long a program may run whose job does not say; None for as long as it likes.
    """

    lease_ms: int = 60_000
    executor_timeout_ms: int = 120_000
    max_attempts: int = 3
    retention_ms: int = 604_800_000
    timeout_seconds: float | None = None
