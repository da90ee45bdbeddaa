"""What each route takes, checked on the way in by the rules that the OpenAPI document publishes."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, post_load, pre_load, validate, validates_schema
from marshmallow import fields as basic

from jobqueue.job import NewJob, Priority, Spec, Status
from jobqueue.queue.commands import Holder, Result
from jobqueue.web import fields

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

INT32 = validate.Range(-(2**31), 2**31 - 1)
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


class ClaimIn(Schema):
    """An executor that asks for work."""

    executor_id = basic.String(required=True, validate=fields.printable_word(128))
    executor_ip = fields.IpAddress(
        load_default=None, metadata={"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}], "example": "192.168.1.100"}
    )


class HolderIn(Schema):
    """An executor that says something about a job it runs."""

    executor_id = basic.String(required=True, validate=fields.printable_word(128))
    attempt_token = basic.String(
        load_default=str,  # a callable is no default to be published: nobody should send ""
        validate=validate.Length(1, 128),
        metadata={"description": "From the claim's answer. When it is sent it must match."},
    )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Any:
        """Return who it is."""
        return Holder(data["executor_id"], data["attempt_token"])


class CompleteIn(HolderIn):
    """The result of a run that ended well."""

    exit_code = fields.WholeNumber(required=True, validate=INT32)
    stdout = basic.String(load_default="")
    stderr = basic.String(load_default="")

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> tuple[Holder, Result]:
        """Return who reports what."""
        holder = Holder(data["executor_id"], data["attempt_token"])
        message = data.get("error_message") or ""
        return holder, Result(data["exit_code"], data["stdout"], data["stderr"], message)


class FailIn(CompleteIn):
    """The result of a run that failed; the exit code is null when the program never ran."""

    exit_code = fields.WholeNumber(load_default=None, allow_none=True, validate=INT32)
    error_message = basic.String(load_default=None, allow_none=True)


class ListIn(Schema):
    """Which jobs to list."""

    status = basic.String(load_default=None, validate=ANY_OF["status"])
    type = basic.String(load_default=None, validate=validate.Length(min=1))
    priority = basic.String(load_default=None, validate=ANY_OF["priority"])
    limit = fields.QueryNumber(load_default=100, validate=validate.Range(1, MAX_LIMIT))
    offset = fields.QueryNumber(load_default=0, validate=validate.Range(0, MAX_OFFSET))
