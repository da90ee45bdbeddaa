"""The durations and limits of a queue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """What the scripts are given with each call. The defaults are the documented ones.

    lease_ms: silence after which an executor loses its job.
    executor_timeout_ms: silence after which an executor is no longer listed.
    max_attempts: how many executors a job may lose before it fails.
    retention_ms: how long a job is kept after it has ended.
    timeout_seconds: the time limit of a program whose job names none; None for no limit.
    max_host_faults: after how many host faults a job fails.
    idempotency_key_ms: how long the answer to a request with an Idempotency-Key is kept.
    """

    lease_ms: int = 60_000
    executor_timeout_ms: int = 120_000
    max_attempts: int = 3
    retention_ms: int = 604_800_000
    timeout_seconds: float | None = None
    max_host_faults: int = 3
    idempotency_key_ms: int = 86_400_000
