"""What the submitters' routes take, checked on the way in by the rules that the OpenAPI document publishes."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, post_load, pre_load, validate, validates_schema
from marshmallow import fields as basic

from jobqueue.job import NewJob, Priority, Spec, Status, Stream
from jobqueue.settings import LONGEST_SECONDS
from jobqueue.web.schemas import fields

MAX_BULK = 1000
MAX_LIMIT = 1000
MAX_OFFSET = 2**53 - 1
"""Beyond this a number in a script is no longer exact."""
MAX_PASSED_BYTES = 1024 * 1024
"""Arguments and environment together: Linux refuses to start a program with much more than this."""

OVERHEAD_BYTES = 9
"""What Linux counts for each of them beside its bytes: a NUL and a pointer."""

MAX_ENTRIES = 10_000
MAX_BULK_ENTRIES = 100_000
"""Arguments, or variables, of one job; both of all jobs of a bulk."""

TIMEOUT = validate.Range(0, LONGEST_SECONDS, min_inclusive=False)
ANY_OF = {"status": validate.OneOf([*Status]), "priority": validate.OneOf([*Priority])}


class NewJobIn(Schema):
    """A job to be run."""

    type = basic.String(required=True, validate=fields.word(128), metadata={"example": "data-processing"})
    binary_url = basic.String(required=True, validate=fields.http_url(2048))
    binary_sha256 = basic.String(required=True, validate=fields.sha256())
    arguments = fields.Texts(basic.String(validate=fields.passable()), MAX_ENTRIES, load_default=list)
    env_variables = fields.Variables(
        basic.String(validate=fields.env_name()),
        basic.String(validate=fields.passable()),
        MAX_ENTRIES,
        load_default=dict,
    )
    priority = basic.String(required=True, validate=ANY_OF["priority"])
    timeout_seconds = fields.Number(
        load_default=None,
        allow_none=True,
        validate=TIMEOUT,
        metadata={
            "exclusiveMinimum": 0,
            "description": "How long the program may run; null for as long as the server lets it.",
        },
    )

    @validates_schema(skip_on_field_errors=False)
    def check_size(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse at the door what could never be started. What is itself faulty is not in `data`."""
        arguments = data.get("arguments", [])
        variables = [f"{name}={value}" for name, value in data.get("env_variables", {}).items()]
        if any(len(variable.encode()) > fields.MAX_ARGUMENT_BYTES for variable in variables):
            raise ValidationError(
                f"NAME=value must be at most {fields.MAX_ARGUMENT_BYTES} bytes of UTF-8.", "env_variables"
            )
        if sum(len(text.encode()) + OVERHEAD_BYTES for text in [*arguments, *variables]) > MAX_PASSED_BYTES:
            message = (
                f"Arguments and environment together must be at most {MAX_PASSED_BYTES} bytes of UTF-8, "
                f"with {OVERHEAD_BYTES} more for each."
            )
            raise ValidationError({"arguments": [message], "env_variables": [message]})

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> NewJob:
        """Return what the queue takes."""
        return NewJob(
            type=data["type"],
            priority=Priority(data["priority"]),
            spec=Spec(
                binary_url=data["binary_url"],
                binary_sha256=data["binary_sha256"].lower(),
                arguments=data["arguments"],
                env_variables=data["env_variables"],
                timeout_seconds=data["timeout_seconds"],
            ),
        )


class BulkNewJobIn(NewJobIn):
    """One of many jobs to be run. Use it with `many=True`."""

    @pre_load(pass_collection=True)
    def check_count(self, data: Any, **_: Any) -> Any:
        """Refuse too many jobs before looking at each."""
        if not isinstance(data, list):
            raise ValidationError("Must be a list of jobs.")
        if not 1 <= len(data) <= MAX_BULK:
            raise ValidationError(f"Must be 1 to {MAX_BULK} jobs, not {len(data)}.")
        entries = sum(map(_count_entries, data))
        if entries > MAX_BULK_ENTRIES:
            raise ValidationError(f"Must be at most {MAX_BULK_ENTRIES} arguments and variables in all, not {entries}.")
        return data


def _count_entries(job: Any) -> int:
    found = [job.get(name) for name in ("arguments", "env_variables")] if isinstance(job, dict) else []
    return sum(len(each) for each in found if isinstance(each, list | dict))


class BulkCancelIn(Schema):
    """Jobs to be cancelled."""

    job_ids = fields.Texts(
        basic.String(validate=validate.Length(max=128)), MAX_BULK, required=True, validate=validate.Length(min=1)
    )


class ListIn(Schema):
    """Which jobs to list."""

    status = basic.String(load_default=None, validate=ANY_OF["status"])
    type = basic.String(load_default=None, validate=validate.Length(min=1))
    priority = basic.String(load_default=None, validate=ANY_OF["priority"])
    limit = fields.QueryNumber(load_default=100, validate=validate.Range(1, MAX_LIMIT))
    offset = fields.QueryNumber(load_default=0, validate=validate.Range(0, MAX_OFFSET))


class CancelIn(Schema):
    """Whether a running job is to be stopped, too."""

    force = fields.QueryFlag(load_default=False)


class OutputIn(Schema):
    """Which part of a job's output is wanted."""

    stream = basic.String(load_default=Stream.STDOUT.value, validate=validate.OneOf([*Stream]))
    offset = fields.QueryNumber(load_default=0, validate=validate.Range(0, MAX_OFFSET))
