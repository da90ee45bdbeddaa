"""What each route answers, for the OpenAPI document. Nothing is checked at run time: tests compare answers with it."""

from __future__ import annotations

from collections.abc import Iterable

from marshmallow import Schema, validate
from marshmallow import fields as basic

from jobqueue.job import AttemptStatus, Priority, Reason, Status, Stream
from jobqueue.queue.health import Health
from jobqueue.web.schemas import measured
from jobqueue.web.schemas.envelopes import EnvelopeIn
from jobqueue.web.schemas.fields import choice, timestamp

IN_MS = {"description": "In milliseconds since 1970."}


class ErrorOut(Schema):
    """An error."""

    error = basic.String(required=True, metadata={"description": "A sentence for people."})
    context = basic.Dict(required=True, metadata={"description": "Invalid fields by name, or facts such as job_id."})


class SubmittedOut(Schema):
    """A new job."""

    id = basic.UUID(required=True)
    type = basic.String(required=True)
    status = choice(Status, required=True)
    created_at = timestamp(required=True)


class JobStatusOut(Schema):
    """A job's id and status."""

    id = basic.UUID(required=True)
    status = choice(Status, required=True)


class HeartbeatOut(JobStatusOut):
    """A renewed lease."""

    lease_ms = basic.Integer(required=True, metadata={"description": "How long the executor may stay silent now."})
    cancel_requested = basic.Boolean(required=True, metadata={"description": "Whether the job was asked to stop."})


class CancelRequestedOut(JobStatusOut):
    """A running job whose executor will be asked to stop it at its next heartbeat."""

    cancel_requested = basic.Boolean(required=True)


class JobSummaryOut(SubmittedOut):
    """A job in a list."""

    priority = choice(Priority, required=True)
    executor_id = basic.String(required=True, allow_none=True)
    started_at = timestamp(required=True, allow_none=True)


class AttemptOut(Schema):
    """One executor's attempt at a job."""

    executor_id = basic.String(required=True)
    executor_ip = basic.String(required=True, allow_none=True)
    started_at = timestamp(required=True)
    ended_at = timestamp(required=True, allow_none=True)
    status = choice(AttemptStatus, required=True)
    reason = choice(Reason, required=True, allow_none=True)
    error_message = basic.String(required=True, allow_none=True)


class JobOut(JobSummaryOut):
    """All details of a job."""

    binary_url = basic.String(required=True)
    binary_sha256 = basic.String(required=True)
    arguments = basic.List(basic.String(), required=True)
    env_variables = basic.Dict(keys=basic.String(), values=basic.String(), required=True)
    timeout_seconds = basic.Float(required=True, allow_none=True)
    stdout = basic.String(required=True)
    stderr = basic.String(required=True)
    exit_code = basic.Integer(required=True, allow_none=True)
    error_message = basic.String(required=True, allow_none=True)
    reason = choice(Reason, required=True, allow_none=True)
    cancel_requested = basic.Boolean(required=True)
    completed_at = timestamp(required=True, allow_none=True)
    created_at_ms = basic.Integer(required=True, metadata=IN_MS)
    started_at_ms = basic.Integer(required=True, allow_none=True, metadata=IN_MS)
    completed_at_ms = basic.Integer(required=True, allow_none=True, metadata=IN_MS)
    attempts = basic.List(basic.Nested(AttemptOut()), required=True)

    class Meta(Schema.Meta):
        """Adds the measured fields."""

        include = measured.shown()


class ClaimedOut(JobOut):
    """A job for the executor that claimed it."""

    attempt_token = basic.String(required=True, metadata={"description": "Identifies this attempt; keep it secret."})
    attempt = basic.Integer(required=True, metadata={"description": "The number of this attempt, from 1."})
    lease_ms = basic.Integer(required=True, metadata={"description": "How long the executor may stay silent."})
    signature = basic.Nested(
        EnvelopeIn(), metadata={"description": "As it was submitted; left out of jobs that are not signed."}
    )


class ClaimedJobsOut(Schema):
    """The jobs of a claim that asked for several."""

    jobs = basic.List(basic.Nested(ClaimedOut()), required=True)


class BeatOut(Schema):
    """What became of a job that a heartbeat named: whether its lease was renewed."""

    id = basic.String(required=True)
    held = basic.Boolean(required=True, metadata={"description": "False: stop the program, the job is lost."})
    cancel_requested = basic.Boolean(metadata={"description": "Whether the job was asked to stop. Only if it is held."})
    code = basic.String(metadata={"description": "Why the lease was not renewed: `not_held` or `job_not_found`."})


class HeartbeatManyOut(Schema):
    """The leases of an executor's jobs."""

    lease_ms = basic.Integer(required=True, metadata={"description": "How long the executor may stay silent now."})
    drain = basic.Boolean(required=True, metadata={"description": "Whether the executor should claim no more jobs."})
    jobs = basic.List(basic.Nested(BeatOut()), required=True)


class ReportedOut(Schema):
    """What became of a job that was reported about: its status, or why the report was refused."""

    id = basic.String(required=True)
    status = choice(Status)
    replayed = basic.Boolean(metadata={"description": "Whether the same report had been stored before."})
    error = basic.String(metadata={"description": "A sentence for people, if the report was refused."})
    code = basic.String(metadata={"description": "The code of that error."})


class FinishManyOut(Schema):
    """What became of several reports, and the next jobs if a claim was sent."""

    results = basic.List(basic.Nested(ReportedOut()), required=True)
    jobs = basic.List(basic.Nested(ClaimedOut()))


class OutputOut(JobStatusOut):
    """A part of what a job's program has written."""

    stream = choice(Stream, required=True)
    offset = basic.Integer(required=True, metadata={"description": "Where data begins, in bytes of UTF-8."})
    data = basic.String(required=True)
    next_offset = basic.Integer(required=True, metadata={"description": "The offset to ask for next."})
    ended = basic.Boolean(required=True, metadata={"description": "Whether the output is complete."})


class CancelFaultOut(Schema):
    """Why a job was not cancelled."""

    job_id = basic.String(required=True)
    error = basic.String(required=True)


class BulkCancelOut(Schema):
    """How many jobs were cancelled, and why the others were not."""

    cancelled = basic.Integer(required=True)
    failed = basic.Integer(required=True)
    errors = basic.List(basic.Nested(CancelFaultOut()), required=True)


def _counts(name: str, words: Iterable[str]) -> basic.Nested:
    return basic.Nested(Schema.from_dict({word: basic.Integer() for word in words}, name=name)(), required=True)


class StatsOut(Schema):
    """The queue in numbers."""

    jobs_by_status = _counts("Counts", Status)
    pending_by_priority = _counts("Pending", Priority)
    active_executors = basic.Integer(required=True)


class ActivityOut(Schema):
    """What a caller did."""

    at = timestamp(required=True)
    token = basic.String(required=True, allow_none=True, metadata={"description": "The name of the API token."})
    address = basic.String(required=True, allow_none=True)
    action = basic.String(required=True, metadata={"description": "`cancel`, `cancel_running` or `refused_sign_in`."})
    target = basic.String(required=True, allow_none=True, metadata={"description": "The job, if it was one."})
    count = basic.Integer(required=True, metadata={"description": "How many jobs were changed, or requests refused."})


class ExecutorOut(Schema):
    """An active executor."""

    executor_id = basic.String(required=True)
    current_job_id = basic.UUID(required=True, allow_none=True)
    job_type = basic.String(required=True, allow_none=True)
    last_heartbeat = timestamp(required=True)
    jobs_completed = basic.Integer(required=True)


class LiveOut(Schema):
    """That the server answers."""

    status = basic.String(required=True, validate=validate.OneOf(["alive"]))


class HealthOut(Schema):
    """Whether the server and its database work."""

    status = basic.String(required=True, validate=validate.OneOf(["healthy", "degraded", "unhealthy"]))
    database = basic.String(required=True, validate=validate.OneOf([*Health]))
