"""What each route answers: the document that tests hold the answers against. Nothing is checked here at run time."""

from __future__ import annotations

from marshmallow import Schema, validate
from marshmallow import fields as basic

from jobqueue.job import AttemptStatus, Priority, Status
from jobqueue.web.schemas import ANY_OF


class ErrorOut(Schema):
    """Every error."""

    error = basic.String(required=True, metadata={"description": "A sentence for people."})
    context = basic.Dict(required=True, metadata={"description": "Faults by field name, or facts such as job_id."})


def _time(nullable: bool = False) -> basic.String:
    return basic.String(required=True, allow_none=nullable, metadata={"example": "2024-01-01T12:00:00Z"})


def _status() -> basic.String:
    return basic.String(required=True, validate=ANY_OF["status"])


class SubmittedOut(Schema):
    """A job that was taken."""

    id = basic.UUID(required=True)
    type = basic.String(required=True)
    status = _status()
    created_at = _time()


class JobStatusOut(Schema):
    """A job's id and status."""

    id = basic.UUID(required=True)
    status = _status()


class HeartbeatOut(JobStatusOut):
    """A renewed lease."""

    lease_ms = basic.Integer(required=True, metadata={"description": "How long the executor may stay silent now."})


class JobSummaryOut(SubmittedOut):
    """A job as lists show it."""

    priority = basic.String(required=True, validate=ANY_OF["priority"])
    executor_id = basic.String(required=True, allow_none=True)
    started_at = _time(nullable=True)


class AttemptOut(Schema):
    """One executor's try at a job."""

    executor_id = basic.String(required=True)
    executor_ip = basic.String(required=True, allow_none=True)
    started_at = _time()
    ended_at = _time(nullable=True)
    status = basic.String(required=True, validate=validate.OneOf([*AttemptStatus]))


class JobOut(JobSummaryOut):
    """All there is to know of a job."""

    binary_url = basic.String(required=True)
    binary_sha256 = basic.String(required=True)
    arguments = basic.List(basic.String(), required=True)
    env_variables = basic.Dict(keys=basic.String(), values=basic.String(), required=True)
    stdout = basic.String(required=True)
    stderr = basic.String(required=True)
    exit_code = basic.Integer(required=True, allow_none=True)
    error_message = basic.String(required=True, allow_none=True)
    completed_at = _time(nullable=True)
    attempts = basic.List(basic.Nested(AttemptOut()), required=True)


class ClaimedOut(JobOut):
    """A job for the executor that asked."""

    attempt_token = basic.String(required=True, metadata={"description": "Stands for this attempt; keep it secret."})
    lease_ms = basic.Integer(required=True, metadata={"description": "How long the executor may stay silent."})


class CancelFaultOut(Schema):
    """Why a job was not cancelled."""

    job_id = basic.String(required=True)
    error = basic.String(required=True)


class BulkCancelOut(Schema):
    """How many jobs were cancelled, and why the others were not."""

    cancelled = basic.Integer(required=True)
    failed = basic.Integer(required=True)
    errors = basic.List(basic.Nested(CancelFaultOut()), required=True)


class StatsOut(Schema):
    """The queue in numbers."""

    jobs_by_status = basic.Nested(
        Schema.from_dict({s: basic.Integer() for s in Status}, name="Counts")(), required=True
    )
    pending_by_priority = basic.Nested(
        Schema.from_dict({p: basic.Integer() for p in Priority}, name="Pending")(), required=True
    )
    active_executors = basic.Integer(required=True)


class ExecutorOut(Schema):
    """An executor heard from lately."""

    executor_id = basic.String(required=True)
    current_job_id = basic.UUID(required=True, allow_none=True)
    job_type = basic.String(required=True, allow_none=True)
    last_heartbeat = _time()
    jobs_completed = basic.Integer(required=True)


class HealthOut(Schema):
    """Whether the server and its database work."""

    status = basic.String(required=True, validate=validate.OneOf(["healthy", "unhealthy"]))
    database = basic.String(required=True, validate=validate.OneOf(["connected", "disconnected"]))
