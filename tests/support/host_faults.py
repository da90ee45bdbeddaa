"""Host faults as tests make them: a job is claimed and released, and claimed again."""

from __future__ import annotations

from jobqueue.job import Reason, Status
from tests.support.attempts import Attempt, start
from tests.support.bench import Bench

FULL = "no space left on device"


def fault(bench: Bench, attempt: Attempt, message: str = FULL) -> Status:
    """Release a job after a host fault."""
    return bench.claims.release(attempt.job_id, attempt.holder, Reason.HOST_FAULT, message)


def faulted(bench: Bench, executor_id: str = "executor-1") -> str:
    """Submit a job, claim it and release it after a host fault; return its id."""
    attempt = start(bench, executor_id)
    assert fault(bench, attempt) is Status.PENDING
    return attempt.job_id


def claimed_by(bench: Bench, executor_id: str) -> str | None:
    """Let an executor claim; return the id of the job that it gets."""
    claimed = bench.claims.claim(executor_id, None)
    return claimed.job.id if claimed else None
