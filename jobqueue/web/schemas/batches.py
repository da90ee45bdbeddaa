"""What the routes take that serve many jobs of one executor at once: a heartbeat for all, and many reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from marshmallow import ValidationError, post_load, validate
from marshmallow import fields as basic

from jobqueue.job import Reason
from jobqueue.queue.claims import MAX_JOBS, Beat
from jobqueue.queue.records.reports import Report, Verb
from jobqueue.result import Holder, LiveOutput, Result
from jobqueue.web.requests.job_ids import normalized
from jobqueue.web.schemas import executors, fields, shortcut
from jobqueue.web.schemas.requests import Request
from jobqueue.web.schemas.text import WORD

MAX_BEATS = 1000


@dataclass(frozen=True)
class FinishMany:
    """The reports of an executor, and the claim that it makes with them."""

    reports: Sequence[Report]
    wanted: executors.Wanted | None


def _job_id() -> basic.String:
    """Return the field of a job's id. A text that is not an id is answered as that of an unknown job."""
    return basic.String(required=True, validate=validate.Length(max=fields.MAX_ID_CHARACTERS))


def _attempt_token() -> basic.String:
    return basic.String(
        required=True, validate=executors.TOKEN, metadata={"description": "From the answer to the claim."}
    )


def _outcome(verb: Verb) -> basic.String:
    return basic.String(required=True, validate=validate.OneOf([verb]))


class BeatIn(Request):
    """What a heartbeat says about one job."""

    id = _job_id()
    attempt_token = _attempt_token()
    output = basic.Nested(executors.LiveOutputIn(), load_default=None)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Beat:
        """Return what it says."""
        return Beat(normalized(data["id"]), data["attempt_token"], data["output"] or LiveOutput())


class HeartbeatManyIn(Request):
    """A heartbeat that names all jobs that an executor has received."""

    executor_id = basic.String(required=True, validate=WORD)
    jobs = fields.Entries(basic.Nested(BeatIn()), at_most=MAX_BEATS, required=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> tuple[str, list[Beat]]:
        """Return the executor's id, and what it says about each job."""
        return data["executor_id"], data["jobs"]


class CompletedIn(executors.CompleteIn):
    """The result of a run that succeeded, as one of many reports."""

    id = _job_id()
    attempt_token = _attempt_token()
    outcome = _outcome(Verb.COMPLETE)

    class Meta(executors.CompleteIn.Meta):
        """The executor is named once, for all reports."""

        exclude = ("executor_id",)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Report:
        """Return the report, without its executor."""
        return _report(data, executors.result(data))


class FailedIn(executors.FailIn):
    """The result of a run that failed, as one of many reports."""

    id = _job_id()
    attempt_token = _attempt_token()
    outcome = _outcome(Verb.FAIL)

    class Meta(executors.FailIn.Meta):
        """The executor is named once, for all reports."""

        exclude = ("executor_id",)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Report:
        """Return the report, without its executor."""
        return _report(data, executors.result(data))


class ReleasedIn(executors.ReleaseIn):
    """A job that its executor releases, as one of many reports."""

    id = _job_id()
    attempt_token = _attempt_token()
    outcome = _outcome(Verb.RELEASE)

    class Meta(executors.ReleaseIn.Meta):
        """The executor is named once, for all reports."""

        exclude = ("executor_id",)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Report:
        """Return the report, without its executor."""
        reason = Reason(data["reason"]) if data["reason"] else None
        return _report(data, Result(None, error_message=data["error_message"] or "", reason=reason))


def _report(data: dict[str, Any], result: Result) -> Report:
    return Report(Verb(data["outcome"]), normalized(data["id"]), Holder("", data["attempt_token"]), result)


class ReportIn(basic.Field[Report]):
    """One of many reports. Its `outcome` says which other fields it has."""

    SCHEMAS = {Verb.COMPLETE: CompletedIn(), Verb.FAIL: FailedIn(), Verb.RELEASE: ReleasedIn()}  # noqa: RUF012  # read only

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Report:
        if report := shortcut.report(value):
            return report
        outcome = value.get("outcome") if isinstance(value, dict) else None
        if outcome not in list(Verb):
            raise ValidationError({"outcome": [f"Must be one of: {', '.join(Verb)}."]})
        loaded: Report = self.SCHEMAS[Verb(outcome)].load(value)
        return loaded


class FinishManyIn(Request):
    """What an executor reports about the ends of several attempts, and which jobs it asks for next."""

    executor_id = basic.String(required=True, validate=WORD)
    results = fields.Entries(ReportIn(), at_most=MAX_JOBS, required=True, validate=validate.Length(min=1))
    claim = basic.Nested(executors.NextJobsIn(), load_default=None)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> FinishMany:
        """Return the reports and the claim, each with its executor."""
        executor_id, wanted = data["executor_id"], data["claim"]
        reports = [
            Report(each.verb, each.job_id, Holder(executor_id, each.holder.attempt_token), each.result)
            for each in data["results"]
        ]
        if wanted:
            wanted = replace(wanted, request=replace(wanted.request, executor_id=executor_id))
        return FinishMany(reports, wanted)
