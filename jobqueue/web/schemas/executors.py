"""What the executors' routes take, checked on the way in by the rules that the OpenAPI document publishes."""

from __future__ import annotations

from dataclasses import fields as fields_of
from typing import Any

from marshmallow import Schema, post_load, validate
from marshmallow import fields as basic

from jobqueue.job import Measured, Reason
from jobqueue.result import Holder, LiveOutput, Piece, Result
from jobqueue.web.schemas import fields

INT32 = validate.Range(-(2**31), 2**31 - 1)
EXACT = validate.Range(0, 2**53 - 1)
"""A count of bytes: as large as a number can be that is exact everywhere."""

MOMENT = validate.Range(0, 253_402_300_799_999)
"""Milliseconds since 1970 that can be written as a date: until the end of the year 9999."""

MAX_PIECE_BYTES = 1024 * 1024
SIGNAL = r"^SIG[A-Z0-9+-]{1,16}$(?!\n)"


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


class PieceIn(Schema):
    """What a program wrote to one stream."""

    offset = fields.WholeNumber(
        required=True,
        validate=EXACT,
        metadata={"description": "How many bytes of UTF-8 the program wrote to the stream before this."},
    )
    data = basic.String(required=True, validate=fields.at_most(MAX_PIECE_BYTES))

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Piece:
        """Return what the queue takes."""
        return Piece(**data)


class LiveOutputIn(Schema):
    """What a program wrote lately."""

    stdout = basic.Nested(PieceIn(), load_default=None, allow_none=True)
    stderr = basic.Nested(PieceIn(), load_default=None, allow_none=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> LiveOutput:
        """Return what the queue takes."""
        return LiveOutput(**data)


class HeartbeatIn(HolderIn):
    """An executor that is still at work, and what its program has written meanwhile."""

    output = basic.Nested(LiveOutputIn(), load_default=None, allow_none=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> tuple[Holder, LiveOutput]:
        """Return who is at work, and what is new."""
        return _holder(data), data["output"] or LiveOutput()


class ReasonedIn(HolderIn):
    """An executor whose attempt is over, and why."""

    reason = basic.String(load_default=None, allow_none=True, validate=validate.OneOf([*Reason]))


class ReleaseIn(ReasonedIn):
    """An executor that gives its job back."""

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> tuple[Holder, Reason | None]:
        """Return who gives it back, and why."""
        return _holder(data), _reason(data)


def _count() -> fields.WholeNumber:
    return fields.WholeNumber(load_default=None, allow_none=True, validate=EXACT)


def _flag() -> fields.Flag:
    return fields.Flag(load_default=None, allow_none=True)


def _seconds() -> fields.Number:
    return fields.Number(load_default=None, allow_none=True, validate=validate.Range(min=0))


def _moment() -> fields.WholeNumber:
    return fields.WholeNumber(
        load_default=None,
        allow_none=True,
        validate=MOMENT,
        metadata={"description": "In milliseconds since 1970 by the executor's clock."},
    )


class CompleteIn(ReasonedIn):
    """The result of a run that ended well, and how the run went as far as its executor knows."""

    exit_code = fields.WholeNumber(required=True, validate=INT32)
    stdout = basic.String(load_default="")
    stderr = basic.String(load_default="")
    signal = basic.String(
        load_default=None,
        allow_none=True,
        validate=validate.Regexp(SIGNAL, error="Must be the name of a signal, such as SIGKILL."),
    )
    stdout_bytes = _count()
    stderr_bytes = _count()
    stdout_truncated = _flag()
    stderr_truncated = _flag()
    user_cpu_seconds = _seconds()
    system_cpu_seconds = _seconds()
    peak_memory_bytes = _count()
    download_started_at_ms = _moment()
    program_started_at_ms = _moment()
    program_ended_at_ms = _moment()

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> tuple[Holder, Result]:
        """Return who reports what."""
        result = Result(
            exit_code=data["exit_code"],
            stdout=data["stdout"],
            stderr=data["stderr"],
            error_message=data.get("error_message") or "",
            reason=_reason(data),
            measured=_measured(data),
        )
        return _holder(data), result


class FailIn(CompleteIn):
    """The result of a run that failed; the exit code is null when the program never ran."""

    exit_code = fields.WholeNumber(load_default=None, allow_none=True, validate=INT32)
    error_message = basic.String(load_default=None, allow_none=True)


def _holder(data: dict[str, Any]) -> Holder:
    return Holder(data["executor_id"], data["attempt_token"])


def _reason(data: dict[str, Any]) -> Reason | None:
    return None if data["reason"] is None else Reason(data["reason"])


def _measured(data: dict[str, Any]) -> Measured:
    known = {field.name: data[field.name] for field in fields_of(Measured) if data[field.name] is not None}
    return Measured(**known)
