"""What each route answers: the document that tests hold the answers against. Nothing is checked here at run time."""

from __future__ import annotations

from marshmallow import Schema, validate
from marshmallow import fields as basic

from jobqueue.job import AttemptStatus, Priority, Reason, Status, Stream
from jobqueue.web.schemas.submitters import ANY_OF


class ErrorOut(Schema):
    """Every error."""

    error = basic.String(required=True, metadata={"description": "A sentence for people."})
    context = basic.Dict(required=True, metadata={"description": "Faults by field name, or facts such as job_id."})


def _time(nullable: bool = False) -> basic.String:
    return basic.String(required=True, allow_none=nullable, metadata={"example": "2024-01-01T12:00:00Z"})


def _status() -> basic.String:
    return basic.String(required=True, validate=ANY_OF["status"])


def _reason() -> basic.String:
    return basic.String(required=True, allow_none=True, validate=validate.OneOf([*Reason]))


def _number() -> basic.Float:
    return basic.Float(required=True, allow_none=True)


def _whole_number() -> basic.Integer:
    return basic.Integer(required=True, allow_none=True)


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
    cancel_requested = basic.Boolean(required=True, metadata={"description": "Whether the program is to be stopped."})


class CancelRequestedOut(JobStatusOut):
    """A running job whose executor will be told to stop it."""

    cancel_requested = basic.Boolean(required=True)


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
    reason = _reason()


class JobOut(JobSummaryOut):
    """All there is to know of a job."""

    binary_url = basic.String(required=True)
    binary_sha256 = basic.String(required=True)
    arguments = basic.List(basic.String(), required=True)
    env_variables = basic.Dict(keys=basic.String(), values=basic.String(), required=True)
    timeout_seconds = _number()
    stdout = basic.String(required=True)
    stderr = basic.String(required=True)
    exit_code = _whole_number()
    error_message = basic.String(required=True, allow_none=True)
    reason = _reason()
    signal = basic.String(required=True, allow_none=True)
    stdout_bytes = _whole_number()
    stderr_bytes = _whole_number()
    stdout_truncated = basic.Boolean(required=True)
    stderr_truncated = basic.Boolean(required=True)
    user_cpu_seconds = _number()
    system_cpu_seconds = _number()
    peak_memory_bytes = _whole_number()
    download_started_at = _time(nullable=True)
    program_started_at = _time(nullable=True)
    program_ended_at = _time(nullable=True)
    cancel_requested = basic.Boolean(required=True)
    completed_at = _time(nullable=True)
    attempts = basic.List(basic.Nested(AttemptOut()), required=True)


class ClaimedOut(JobOut):
    """A job for the executor that asked."""

    attempt_token = basic.String(required=True, metadata={"description": "Stands for this attempt; keep it secret."})
    attempt = basic.Integer(required=True, metadata={"description": "Which try this is, from 1."})
    lease_ms = basic.Integer(required=True, metadata={"description": "How long the executor may stay silent."})


class OutputOut(JobStatusOut):
    """A part of what a job's program has written."""

    stream = basic.String(required=True, validate=validate.OneOf([*Stream]))
    offset = basic.Integer(required=True, metadata={"description": "Where data begins, in bytes of UTF-8."})
    data = basic.String(required=True)
    next_offset = basic.Integer(required=True, metadata={"description": "What to ask for next."})
    ended = basic.Boolean(required=True, metadata={"description": "Whether nothing more will come."})


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
