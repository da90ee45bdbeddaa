"""Jobs and executors as answers show them: times in milliseconds become `YYYY-MM-DDTHH:MM:SSZ`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

from jobqueue.errors import JobQueueError
from jobqueue.job import Attempt, Job, JobSummary, Measured, Status
from jobqueue.queue.claims import Renewed
from jobqueue.queue.queries import Executor, Output, Stats
from jobqueue.queue.records.activity import Activity
from jobqueue.queue.records.claimed import Claimed
from jobqueue.queue.records.reports import Finished


def timestamp(milliseconds: int) -> str:
    """Return a time in milliseconds since 1970 as UTC, rounded down to the second."""
    return _timestamp(milliseconds // 1000)


@lru_cache(maxsize=1024)  # the jobs of a list, or of a busy second, have few different times
def _timestamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _optional_timestamp(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else timestamp(milliseconds)


def job_summary(job: JobSummary) -> dict[str, object]:
    """Return a job as a list shows it."""
    return {
        "id": job.id,
        "type": job.type,
        "status": job.status,
        "priority": job.priority,
        "executor_id": job.executor_id,
        "created_at": timestamp(job.created_at_ms),
        "started_at": _optional_timestamp(job.started_at_ms),
    }


def new_jobs(job_ids: Iterable[str]) -> str:
    """Return new jobs as JSON text. There may be 10,000 of them, and only their ids differ."""
    before, after = json.dumps({"id": "", "status": Status.PENDING}, separators=(",", ":")).split('""')
    rows = f'"{after},{before}"'.join(job_ids)
    return f'[{before}"{rows}"{after}]'


def job_details(job: Job) -> dict[str, object]:
    """Return all details of a job."""
    spec = {**vars(job.spec)}
    del spec["signature"]  # it repeats what else is secret of the job, and only its executor can use it
    return {
        **job_summary(job),
        **spec,
        "stdout": job.stdout,
        "stderr": job.stderr,
        "exit_code": job.exit_code,
        "error_message": job.error_message,
        "reason": job.reason,
        **_fields(job.measured),
        "cancel_requested": job.cancel_requested,
        "completed_at": _optional_timestamp(job.completed_at_ms),
        "created_at_ms": job.created_at_ms,
        "started_at_ms": job.started_at_ms,
        "completed_at_ms": job.completed_at_ms,
        "attempts": [_fields(attempt) for attempt in job.attempts],
    }


def claimed_job(claimed: Claimed) -> dict[str, object]:
    """Return a job for the executor that claimed it."""
    attempt = {"attempt_token": claimed.attempt_token, "attempt": claimed.attempt, "lease_ms": claimed.lease_ms}
    signature = claimed.job.spec.signature
    return job_details(claimed.job) | attempt | ({} if signature is None else {"signature": signature})


def beat_answer(job_id: str, renewed: Renewed | JobQueueError) -> dict[str, object]:
    """Return what became of a job that a heartbeat named."""
    if isinstance(renewed, JobQueueError):
        return {"id": job_id, "held": False, "code": renewed.code}
    return {"id": job_id, "held": True, "cancel_requested": renewed.cancel_requested}


def report_answer(job_id: str, finished: Finished | JobQueueError) -> dict[str, object]:
    """Return what became of one of many reports."""
    if isinstance(finished, JobQueueError):
        return {"id": job_id, "error": str(finished), "code": finished.code}
    return {"id": job_id, "status": finished.status, "replayed": finished.replayed}


def _fields(part: Measured | Attempt) -> dict[str, object]:
    """Return all fields of a part of a job: how its run went (`schemas.measured.shown`), or one attempt at it."""
    return {
        name.removesuffix("_ms"): _optional_timestamp(value) if name.endswith("_ms") else value
        for name, value in vars(part).items()
    }


def output(job_id: str, stream: str, read: Output) -> dict[str, object]:
    """Return a part of a job's output."""
    return {
        "id": job_id,
        "status": read.status,
        "stream": stream,
        "offset": read.part.offset,
        "data": read.part.data,
        "next_offset": read.part.next_offset,
        "ended": read.ended,
    }


def stats(counts: Stats) -> dict[str, object]:
    """Return the counts of jobs and executors."""
    return {
        "jobs_by_status": counts.by_status(),
        "pending_by_priority": counts.pending(),
        "active_executors": counts.active_executors,
    }


def activity(entry: Activity) -> dict[str, object]:
    """Return an entry of the record of activity."""
    return {
        "at": timestamp(entry.at_ms),
        "token": entry.who.token or None,
        "address": entry.who.address or None,
        "action": entry.action,
        "target": entry.target,
        "count": entry.count,
    }


def executor(one: Executor) -> dict[str, object]:
    """Return an active executor."""
    return {
        "executor_id": one.executor_id,
        "current_job_id": one.current_job_id,
        "job_type": one.job_type,
        "last_heartbeat": timestamp(one.last_heartbeat_ms),
        "jobs_completed": one.jobs_completed,
    }
