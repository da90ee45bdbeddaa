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
    max_pending, max_pending_of_type: how many jobs may be pending, in all and of each type; 0 for any number.
    max_types, max_executors: how many types may have jobs, how many executors may be active; 0 for any number.
    """

    lease_ms: int = 60_000
    executor_timeout_ms: int = 120_000
    max_attempts: int = 3
    retention_ms: int = 604_800_000
    timeout_seconds: float | None = None
    max_host_faults: int = 3
    idempotency_key_ms: int = 86_400_000
    max_pending: int = 0
    max_pending_of_type: int = 0
    max_types: int = 0
    max_executors: int = 0

    @property
    def submit_limits(self) -> str:
        """The limits of new jobs, as `lua/submit.lua` takes them."""
        limits = (self.max_pending, self.max_pending_of_type, self.max_types)
        return " ".join(map(str, limits)) if any(limits) else ""

    @property
    def executor_limit(self) -> str:
        """The limit of executors, as the scripts take it."""
        return f"{self.max_executors} {self.executor_timeout_ms}" if self.max_executors else ""
