"""What the queue tells of a job, and what it must tell by the model: two things that can be compared."""

from __future__ import annotations

from jobqueue.job import Job, Status
from tests.queue.model import ModelJob


def seen(job: Job) -> tuple[object, ...]:
    """Return what the queue tells of a job."""
    result = (job.exit_code, job.stdout, job.stderr, bool(job.error_message))
    why = (job.reason, job.cancel_requested)
    return job.status, why, job.executor_id, job.started_at_ms, job.completed_at_ms, list(job.attempts), result


def expected(job: ModelJob) -> tuple[object, ...]:
    """Return what the queue must tell of it."""
    given_up = job.status is Status.FAILED and job.result is None
    result = (job.result.exit_code, job.result.stdout, job.result.stderr) if job.result else (None, "", "")
    why = (job.reason, job.asked_to_stop)
    return job.status, why, job.executor_id, job.started_ms, job.ended_ms, job.attempts(), (*result, given_up)


def written(job: ModelJob) -> tuple[int, str]:
    """Return where the output begins that must be there of a job, and what it is."""
    return (0, job.result.stdout) if job.result else (job.live.offset, job.live.data)
