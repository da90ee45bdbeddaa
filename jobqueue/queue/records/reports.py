"""What executors report about the end of attempts, as the scripts take it and answer it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from jobqueue import logs
from jobqueue.errors import JobQueueError
from jobqueue.job import HOST_FAULTS, Status
from jobqueue.output import cut
from jobqueue.queue.records.jobs import write_result
from jobqueue.queue.scripts import Call, Reply
from jobqueue.result import Holder, Result

RELEASE_MESSAGE_BYTES = 4096
"""How much is stored of the message of a release. A job keeps up to a hundred of them, one for each attempt."""


class Verb(StrEnum):
    """The kinds of reports, each named like its script."""

    COMPLETE = "complete"
    FAIL = "fail"
    RELEASE = "release"


@dataclass(frozen=True)
class Report:
    """A report about a job. Of the result of a release, only the reason and the error message have a meaning."""

    verb: Verb
    job_id: str
    holder: Holder
    result: Result

    def call(self, now: str, max_host_faults: int) -> Call:
        """Return the call of the report's script."""
        more = self._release(max_host_faults) if self.verb is Verb.RELEASE else self._result()
        holder = self.holder
        return self.verb, (now, self.job_id, holder.executor_id, holder.attempt_token, holder.owner, *more)

    def _release(self, max_host_faults: int) -> list[str | int]:
        result = self.result
        limit = max_host_faults if result.reason in HOST_FAULTS else ""
        return [result.reason or "", cut(result.error_message, RELEASE_MESSAGE_BYTES), limit]

    def _result(self) -> list[str | int]:
        # What is compared with a stored result must have been cut in the same way, so it is cut before the script runs.
        stored = self.result.cut()
        exit_code = "" if stored.exit_code is None else str(stored.exit_code)
        return [exit_code, *write_result(stored, with_message=self.verb is Verb.FAIL)]

    def read(self, reply: Reply) -> Finished:
        """Return what the script has answered."""
        if self.verb is Verb.RELEASE:
            return Finished(Status(str(reply)), replayed=False)
        replayed, status = cast("tuple[int, str]", reply)
        return Finished(Status(status), replayed == 1)


@dataclass(frozen=True)
class Finished:
    """The status that a report gave its job, and whether it was a replay: the same report had been stored before."""

    status: Status
    replayed: bool


def log_report(report: Report, finished: Finished) -> None:
    """Log a report that was stored."""
    facts: dict[str, object] = {"status": str(finished.status), "reason": str(report.result.reason or "")}
    if report.verb is not Verb.RELEASE:
        exit_code = report.result.exit_code
        facts = {
            "exit_code": "" if exit_code is None else str(exit_code),
            "status": str(finished.status),
            "replay": finished.replayed,
        }
    logs.logger().info(report.verb, job_id=report.job_id, executor_id=report.holder.executor_id, **facts)


def log_reports(reports: Sequence[Report], results: Sequence[Finished | JobQueueError]) -> None:
    """Log the reports of one request in one line: for each status the jobs that have it now, and what was refused."""
    lists: dict[str, list[str]] = {}
    for report, result in zip(reports, results, strict=True):
        what = "refused" if isinstance(result, JobQueueError) else str(result.status)
        lists.setdefault(what, []).append(report.job_id)
    texts = {what: " ".join(job_ids) for what, job_ids in lists.items()}
    replays = sum(isinstance(result, Finished) and result.replayed for result in results)
    executor_id = reports[0].holder.executor_id
    logs.logger().info("finish", executor_id=executor_id, jobs=len(reports), replays=replays, **texts)
