"""What the submitters' routes take, checked by the rules that the OpenAPI document publishes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from marshmallow import Schema, ValidationError, post_load, validate, validates_schema
from marshmallow import fields as basic

from jobqueue.job import NewJob, Priority, Spec, Status, Stream
from jobqueue.queue.queries import FIRST_CURSOR, Filter
from jobqueue.settings import LONGEST_SECONDS
from jobqueue.web.requests.job_ids import normalized
from jobqueue.web.schemas import fields, shortcut
from jobqueue.web.schemas.envelopes import EnvelopeIn
from jobqueue.web.schemas.requests import Request
from jobqueue.web.schemas.text import WORD

MAX_BULK = 10_000
MAX_BULK_CANCEL = 1000
MAX_LIMIT = 1000
MAX_BULK_ENTRIES = 100_000
"""Most arguments and variables together, of all jobs of a bulk."""

CHECKED_AT_ONCE = 1000
"""How many jobs of a bulk the schema checks before it names what is wrong with them."""

TIMEOUT = validate.Range(0, LONGEST_SECONDS, min_inclusive=False)


class NewJobIn(Request):
    """A job to run."""

    type = basic.String(required=True, validate=WORD, metadata={"example": "data-processing"})
    binary_url = basic.String(
        required=True, validate=fields.http_url(fields.MAX_URL_CHARACTERS), metadata={"format": "uri"}
    )
    binary_sha256 = basic.String(required=True, validate=fields.SHA256)
    arguments = fields.Texts(basic.String(validate=fields.passable()), at_most=fields.MAX_ENTRIES, load_default=list)
    env_variables = fields.Variables(
        basic.String(validate=fields.ENV_NAME),
        basic.String(validate=fields.passable()),
        at_most=fields.MAX_ENTRIES,
        load_default=dict,
    )
    priority = fields.choice(Priority, required=True)
    timeout_seconds = fields.Number(
        load_default=None,
        validate=TIMEOUT,
        metadata={"exclusiveMinimum": 0, "description": "The program's time limit; null for the server's default."},
    )
    signature = basic.Nested(
        EnvelopeIn(),
        load_default=None,
        metadata={"description": "Proves to executors who wants this job; `python -m jobqueue sign` makes it."},
    )

    def load(self, data: Any, **options: Any) -> Any:
        """Return the job, by the shortcut if that is possible. Raises ValidationError."""
        return (None if self.many else shortcut.new_job(data)) or super().load(data, **options)

    @validates_schema(skip_on_field_errors=False)
    def check_size(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse what Linux could never start. `data` holds only the fields that are valid by themselves."""
        arguments = data.get("arguments", [])
        variables = [f"{name}={value}" for name, value in data.get("env_variables", {}).items()]
        if any(len(variable.encode()) > fields.MAX_ARGUMENT_BYTES for variable in variables):
            raise ValidationError(
                f"NAME=value must be at most {fields.MAX_ARGUMENT_BYTES} bytes of UTF-8.", "env_variables"
            )
        if (
            sum(len(text.encode()) + fields.OVERHEAD_BYTES for text in [*arguments, *variables])
            > fields.MAX_PASSED_BYTES
        ):
            message = (
                f"Arguments and environment together must be at most {fields.MAX_PASSED_BYTES} bytes of UTF-8, "
                f"with {fields.OVERHEAD_BYTES} more for each."
            )
            raise ValidationError({"arguments": [message], "env_variables": [message]})

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> NewJob:
        """Return the job. What is left of `data` without type and priority has the names of a spec's fields."""
        job_type, priority = data.pop("type"), data.pop("priority")
        data["binary_sha256"] = data["binary_sha256"].lower()
        return NewJob(job_type, priority, Spec(**data))


class BulkNewJobIn(NewJobIn):
    """One job of a bulk. Use it with `many=True`."""

    def load(self, data: Any, **_: Any) -> list[NewJob]:
        """Return the jobs. Raises ValidationError, whose messages have the indexes of the invalid jobs.

        A bulk that is too large is refused before any of its jobs is checked.
        """
        _check_count(data)
        jobs = [shortcut.new_job(job) for job in data]
        others = [index for index, job in enumerate(jobs) if job is None]
        for first in range(0, len(others), CHECKED_AT_ONCE):
            indexes = others[first : first + CHECKED_AT_ONCE]
            for index, job in zip(indexes, self._load_each(data, indexes), strict=True):
                jobs[index] = job
        return cast("list[NewJob]", jobs)

    def _load_each(self, data: list[Any], indexes: Sequence[int]) -> list[NewJob]:
        """Return the jobs at these indexes, checked by the rules."""
        try:
            return cast("list[NewJob]", super().load([data[index] for index in indexes]))
        except ValidationError as error:
            faults = cast("dict[int, Any]", error.messages)
            raise ValidationError({indexes[place]: fault for place, fault in faults.items()}) from None


def _check_count(data: Any) -> None:
    if not isinstance(data, list):
        raise ValidationError("Must be a list of jobs.")
    if not 1 <= len(data) <= MAX_BULK:
        raise ValidationError(f"Must be 1 to {MAX_BULK} jobs, not {len(data)}.")
    entries = sum(map(_count_entries, data))
    if entries > MAX_BULK_ENTRIES:
        raise ValidationError(f"Must be at most {MAX_BULK_ENTRIES} arguments and variables in all, not {entries}.")


def _count_entries(job: Any) -> int:
    values = [job.get(name) for name in ("arguments", "env_variables")] if isinstance(job, dict) else []
    return sum(len(value) for value in values if isinstance(value, list | dict))


class BulkCancelIn(Request):
    """Jobs to cancel."""

    job_ids = fields.Texts(
        basic.String(validate=validate.Length(max=128)),
        at_most=MAX_BULK_CANCEL,
        required=True,
        validate=validate.Length(min=1),
    )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> list[str]:
        """Return the ids. A text that is not an id stays in the list: it is answered as an unknown job."""
        return [normalized(job_id) for job_id in data["job_ids"]]


class ListIn(Schema):
    """Which jobs to list."""

    status = fields.choice(Status, load_default=None)
    type = basic.String(load_default=None, validate=validate.Length(min=1))
    priority = fields.choice(Priority, load_default=None)
    limit = fields.QueryNumber(load_default=100, validate=validate.Range(1, MAX_LIMIT))
    offset = fields.QueryNumber(validate=fields.EXACT, metadata={"description": "0 if it is left out.", "minimum": 0})
    cursor = basic.String(
        validate=fields.CURSOR,
        metadata={"description": "Empty to begin a walk, then from `Link`. Not together with `offset`."},
    )

    @validates_schema
    def check_beginning(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse two beginnings of one page."""
        if "cursor" in data and "offset" in data:
            raise ValidationError("Must not be sent together with offset.", "cursor")

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> tuple[Filter, int, int, int | None]:
        """Return the filter, the size of the page, how many newer jobs to skip, and the cursor or None."""
        cursor = int(data["cursor"] or FIRST_CURSOR) if "cursor" in data else None
        return Filter(data["status"], data["priority"], data["type"]), data["limit"], data.get("offset", 0), cursor


class CancelIn(Schema):
    """Whether a running job is asked to stop, too."""

    force = fields.query_flag(load_default=False)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> bool:
        """Return `force`."""
        return bool(data["force"])


class GetIn(Schema):
    """Whether to wait for the end of a job."""

    wait_seconds = fields.QuerySeconds(load_default=0.0, validate=fields.WAIT)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> float:
        """Return how long to wait."""
        return float(data["wait_seconds"])


class OutputIn(Schema):
    """Which part of a job's output to read."""

    stream = fields.choice(Stream, load_default=Stream.STDOUT)
    offset = fields.QueryNumber(load_default=0, validate=fields.EXACT)
    wait_seconds = fields.QuerySeconds(load_default=0.0, validate=fields.WAIT)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> tuple[Stream, int, float]:
        """Return the stream, the offset from which on to read it, and how long to wait for something there."""
        return data["stream"], data["offset"], data["wait_seconds"]
