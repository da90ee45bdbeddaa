"""What the queue returns about a job and what it must return by the model, in a form that can be compared."""

from __future__ import annotations

from jobqueue.job import Job, Status
from tests.queue.model_job import ModelJob


def actual(job: Job) -> tuple[object, ...]:
    """Return what the queue says about a job."""
    result = (job.exit_code, job.stdout, job.stderr, bool(job.error_message))
    why = (job.reason, job.cancel_requested)
    return job.status, why, job.executor_id, job.started_at_ms, job.completed_at_ms, list(job.attempts), result


def expected(job: ModelJob) -> tuple[object, ...]:
    """Return what the queue must say about it."""
    without_result = job.status is Status.FAILED and job.result is None
    result = (job.result.exit_code, job.result.stdout, job.result.stderr) if job.result else (None, "", "")
    why = (job.reason, job.cancel_requested)
    return job.status, why, job.executor_id, job.started_ms, job.ended_ms, job.attempts(), (*result, without_result)


def expected_output(job: ModelJob) -> tuple[int, str]:
    """Return the offset and the text of the output that the queue must have."""
    return (0, job.result.stdout) if job.result else (job.live.offset, job.live.data)
