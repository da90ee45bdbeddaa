"""What the executors' routes take, checked by the rules that the OpenAPI document publishes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, post_load, validate
from marshmallow import fields as basic

from jobqueue.job import RELEASES, Reason
from jobqueue.queue.claims import MAX_JOBS, ClaimRequest
from jobqueue.result import Holder, LiveOutput, Piece, Result
from jobqueue.web.schemas import fields, measured
from jobqueue.web.schemas.requests import Request
from jobqueue.web.schemas.text import WORD

INT32 = validate.Range(-fields.MAX_EXIT_CODE - 1, fields.MAX_EXIT_CODE)
MAX_PIECE_BYTES = 1024 * 1024
MAX_LIMIT = 1000
MAX_TYPES = 100
TOKEN = validate.Length(1, fields.MAX_TOKEN_CHARACTERS)
RELEASE_REASONS = [reason.value for reason in Reason if reason in RELEASES]


@dataclass(frozen=True)
class Wanted:
    """A claim, whether it is answered with a list of jobs, and how long it waits for one."""

    request: ClaimRequest
    many: bool
    wait_seconds: float


class NextJobsIn(Request):
    """Which jobs an executor asks for."""

    executor_ip = fields.IpAddress(
        load_default=None, metadata={"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}], "example": "192.168.1.100"}
    )
    max_jobs = fields.WholeNumber(
        load_default=None,
        validate=validate.Range(1, MAX_JOBS),
        metadata={"description": "How many jobs to claim at most. If it is sent, the answer is an object with `jobs`."},
    )
    claim_id = basic.String(
        load_default=str,  # a callable default is not published: nobody should send ""
        validate=WORD,
        metadata={"description": "Names this claim, so that it can be repeated when its answer was lost."},
    )
    types = fields.Texts(
        basic.String(validate=WORD),
        at_most=MAX_TYPES,
        load_default=list,
        validate=validate.Length(min=1),
    )
    wait_seconds = fields.Number(
        load_default=0.0,
        validate=fields.WAIT,
        metadata={"description": "How long the request waits for a job."},
    )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Wanted:
        """Return what the executor asks for."""
        many = data["max_jobs"] is not None
        types = tuple(dict.fromkeys(data["types"]))
        executor_id, max_jobs = data.get("executor_id", ""), data["max_jobs"] or 1
        claim = ClaimRequest(executor_id, data["executor_ip"], max_jobs, data["claim_id"], types)
        return Wanted(claim, many, data["wait_seconds"])


class ClaimIn(NextJobsIn):
    """An executor that asks for jobs."""

    executor_id = basic.String(required=True, validate=WORD)


class HolderIn(Request):
    """The executor that holds a job. Every report begins with these fields."""

    executor_id = basic.String(required=True, validate=WORD)
    attempt_token = basic.String(
        load_default=str,  # a callable default is not published: nobody should send ""
        validate=TOKEN,
        metadata={"description": "From the answer to the claim. If it is sent, it must match."},
    )


class PieceIn(Request):
    """New output of a program on one stream."""

    offset = fields.WholeNumber(
        required=True,
        validate=fields.EXACT,
        metadata={"description": "How many bytes of UTF-8 the program wrote to the stream before this."},
    )
    data = basic.String(required=True, validate=fields.at_most(MAX_PIECE_BYTES))

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Piece:
        """Return the piece."""
        return Piece(**data)


class LiveOutputIn(Request):
    """New output of a program that still runs."""

    stdout = basic.Nested(PieceIn(), load_default=None)
    stderr = basic.Nested(PieceIn(), load_default=None)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> LiveOutput:
        """Return the new output of both streams."""
        return LiveOutput(**data)


class HeartbeatIn(HolderIn):
    """A heartbeat, with what the program has written since the last one."""

    output = basic.Nested(LiveOutputIn(), load_default=None)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> tuple[Holder, LiveOutput]:
        """Return the holder and the new output."""
        return _holder(data), data["output"] or LiveOutput()


class ReleaseIn(HolderIn):
    """A job that its executor releases, and why."""

    reason = basic.String(
        load_default=None,
        validate=validate.OneOf(RELEASE_REASONS),
        metadata={"description": "All but `worker_shutdown` are host faults: they delay the job, and are counted."},
    )
    error_message = basic.String(load_default=None)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> tuple[Holder, Reason | None, str]:
        """Return the holder, its reason and its message, which is empty for none."""
        return _holder(data), Reason(data["reason"]) if data["reason"] else None, data["error_message"] or ""


class CompleteIn(HolderIn):
    """The result of a run that succeeded, with as much as the executor has measured."""

    reason = fields.choice(Reason, load_default=None)
    exit_code = fields.WholeNumber(required=True, validate=INT32)
    stdout = basic.String(load_default="")
    stderr = basic.String(load_default="")

    class Meta(Request.Meta):
        """Adds the measured fields."""

        include = measured.reported()

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> tuple[Holder, Result]:
        """Return the holder and its result."""
        return _holder(data), result(data)


class FailIn(CompleteIn):
    """The result of a run that failed. The exit code is null when the program never ran."""

    exit_code = fields.WholeNumber(load_default=None, validate=INT32)
    error_message = basic.String(load_default=None)


class ListExecutorsIn(Schema):
    """Which of the active executors to list."""

    limit = fields.QueryNumber(load_default=MAX_LIMIT, validate=validate.Range(1, MAX_LIMIT))
    offset = fields.QueryNumber(load_default=0, validate=fields.EXACT)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> tuple[int, int]:
        """Return the size of the page, and how many executors to skip."""
        return data["limit"], data["offset"]


class ListActivityIn(Schema):
    """Which entries of the record of activity to list."""

    limit = fields.QueryNumber(load_default=100, validate=validate.Range(1, MAX_LIMIT))
    cursor = basic.String(load_default="", validate=fields.CURSOR, metadata={"description": "From `Link`."})

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> tuple[int, int | None]:
        """Return the size of the page, and the cursor; None for the newest entries."""
        return data["limit"], int(data["cursor"]) if data["cursor"] else None


def result(data: dict[str, Any]) -> Result:
    """Return the result of a report."""
    texts = data["stdout"], data["stderr"], data.get("error_message") or ""
    # Cut at once: a result that waits for Redis should not keep 13 MiB in memory.
    return Result(data["exit_code"], *texts, data["reason"], measured.loaded(data)).cut()


def _holder(data: dict[str, Any]) -> Holder:
    return Holder(data["executor_id"], data["attempt_token"])
