"""What changes the queue for an executor: it claims jobs, renews their leases, and completes, fails or releases them.

A method for one job is named like its script. The methods for many do the same in few round trips.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from jobqueue import logs
from jobqueue.errors import JobQueueError, StoreFull, StoreUnavailable
from jobqueue.job import Reason, Status
from jobqueue.queue.policy import Policy
from jobqueue.queue.records.claimed import Claimed, ClaimedJobs, log_claim
from jobqueue.queue.records.jobs import UNKNOWN, read_attempt, read_job, write_live_output
from jobqueue.queue.records.reports import Finished, Report, Verb, log_report, log_reports
from jobqueue.queue.refusals import refusal
from jobqueue.queue.scripts import Call, Clock, Reply, Scripts, redis_clock
from jobqueue.result import Holder, LiveOutput, Result

MAX_JOBS = 100
"""How many jobs one claim hands out, and how many reports are sent to Redis at once."""

HEARTBEAT_JOBS = 100
"""How many leases one call of the script renews, and how many jobs it takes back. More would keep others waiting."""

TOKEN_BYTES = 16
ALL, CANCEL_REQUESTED = "all", "cancel_requested"
"""The argument of `lua/heartbeat.lua` for all jobs of an executor, and its answer for a job that was asked to stop."""

NO_OUTPUT = LiveOutput()


@dataclass(frozen=True)
class ClaimRequest:
    """What an executor asks for: up to `max_jobs` jobs of some types, or of all if it names none.

    A claim that has an id can be repeated. Its jobs belong to `owner`, the name of an API token; "" on an open API.
    """

    executor_id: str
    executor_ip: str | None = None
    max_jobs: int = 1
    claim_id: str = ""
    types: Sequence[str] = ()
    owner: str = ""


@dataclass(frozen=True)
class Beat:
    """What a heartbeat says about one job: the attempt that runs it, and its latest output."""

    job_id: str
    attempt_token: str
    output: LiveOutput = NO_OUTPUT


@dataclass(frozen=True)
class Renewed:
    """A renewed lease: how long it lasts from now on, and whether the job's cancellation was requested."""

    lease_ms: int
    cancel_requested: bool


@dataclass(frozen=True)
class FinishedJobs:
    """For each report what became of its job, or why it was refused; the jobs of the claim if there was one, or why the
    claim was refused.
    """

    results: Sequence[Finished | JobQueueError]
    claimed: ClaimedJobs | None
    refusal: JobQueueError | None = None


class Claims:
    """The methods of executors, from the claim of a job to the report of its end.

    Each raises StoreUnavailable when Redis does not answer; the change may or may not have been made then.
    """

    def __init__(self, scripts: Scripts, policy: Policy, clock: Clock = redis_clock) -> None:
        self._scripts = scripts
        self._policy = policy
        self._clock = clock

    @property
    def lease_ms(self) -> int:
        """How long an executor may be silent about a job."""
        return self._policy.lease_ms

    @property
    def may_refuse(self) -> bool:
        """Whether a claim may be refused because there are too many executors."""
        return self._policy.max_executors > 0

    def claim(self, executor_id: str, executor_ip: str | None) -> Claimed | None:
        """Hand the next pending job to an executor. Return None when no job is pending that it may have now.

        It may not have a job that is delayed, nor one that it released after a host fault as long as others ask.
        """
        return next(iter(self.claim_many(ClaimRequest(executor_id, executor_ip)).jobs), None)

    def claim_many(self, request: ClaimRequest) -> ClaimedJobs:
        """Hand the next pending jobs to an executor, as many as it asks for if there are so many.

        A claim that is repeated under its id is answered with the jobs that it got and that the executor still holds.
        Raises TooManyExecutors for a new executor when as many as may be are active.
        """
        name, arguments = self.call_of(request)
        return self.read(request, self._scripts.call(name, *arguments))

    def heartbeat(self, job_id: str, holder: Holder, output: LiveOutput = NO_OUTPUT) -> Renewed:
        """Renew a lease, and keep the latest output of the program. Raises JobNotFound, NotHeld."""
        beat = Beat(job_id, holder.attempt_token, output)
        [answer], _ = self._heartbeat(holder.executor_id, [beat], "", holder.owner)
        if answer not in ("", CANCEL_REQUESTED):
            raise refusal(answer) or JobQueueError(answer)
        return self._renewed(answer)

    def heartbeat_many(self, executor_id: str, beats: Sequence[Beat], owner: str = "") -> list[Renewed | JobQueueError]:
        """Renew the leases of all jobs that an executor has received. Return for each the new lease, or the error that
        heartbeat would raise.

        A job that the executor claimed more than ten seconds ago and has never named in a heartbeat was not received:
        it is pending again, and the attempt does not count as lost.
        """
        answers: list[str] = []
        more = True
        while more:
            some, beats = beats[:HEARTBEAT_JOBS], beats[HEARTBEAT_JOBS:]
            answered, taken_back = self._heartbeat(executor_id, some, "" if beats else ALL, owner)
            answers += answered
            if taken_back:
                logs.logger().warning("never_received", executor_id=executor_id, job_ids=" ".join(taken_back))
            # An executor may have lost the answers to many claims, and its next heartbeat may come too late for them.
            more = bool(beats) or len(taken_back) == HEARTBEAT_JOBS
        return [refusal(answer) or self._renewed(answer) for answer in answers]

    def complete(self, job_id: str, holder: Holder, result: Result) -> Finished:
        """End a job as completed. Raises JobNotFound, NotRunning, LeaseLost."""
        return self._finish(Report(Verb.COMPLETE, job_id, holder, result))

    def fail(self, job_id: str, holder: Holder, result: Result) -> Finished:
        """End a job as failed, or as cancelled if its cancellation was requested and that is why it ended.

        Raises JobNotFound, NotRunning, LeaseLost.
        """
        return self._finish(Report(Verb.FAIL, job_id, holder, result))

    def release(self, job_id: str, holder: Holder, reason: Reason | None = None, error_message: str = "") -> Status:
        """Release a running job to its old place in the queue. Raises JobNotFound, NotRunning, LeaseLost.

        After a host fault (HOST_FAULTS) the job is delayed, and fails if it has met too many of them. Return the job's
        new status: pending, failed, or cancelled if its cancellation was requested.
        """
        result = Result(None, error_message=error_message, reason=reason)
        return self._finish(Report(Verb.RELEASE, job_id, holder, result)).status

    def finish_many(self, reports: Sequence[Report], request: ClaimRequest | None = None) -> FinishedJobs:
        """Store up to MAX_JOBS reports of one executor, and then claim, in one round trip.

        Each report is one atomic step, and so is the claim. They are made in this order, except that scripts that Redis
        does not know yet come last. If it is not certain that all were answered, the error is
        raised, and all of them can be sent again: reports that were stored are replays.
        """
        calls = [report.call(self._clock(), self._policy.max_host_faults) for report in reports]
        if request:
            calls.append(self.call_of(request))
        replies = self._scripts.call_many(calls)
        if any(isinstance(reply, StoreUnavailable | StoreFull) for reply in replies):
            raise StoreUnavailable
        results = [
            reply if isinstance(reply, JobQueueError) else report.read(reply)
            for report, reply in zip(reports, replies, strict=False)
        ]
        log_reports(reports, results)
        if request is None:
            return FinishedJobs(results, None)
        reply = replies[-1]
        if isinstance(reply, JobQueueError):
            return FinishedJobs(results, None, reply)
        return FinishedJobs(results, self.read(request, reply))

    def call_of(self, request: ClaimRequest) -> Call:
        """Return the call of the script for a claim, for one that is sent together with others."""
        tokens = secrets.token_hex(TOKEN_BYTES * request.max_jobs)
        executor = request.executor_id, request.executor_ip or UNKNOWN
        limits = self._policy.lease_ms, self._policy.max_attempts, request.max_jobs
        more = tokens, request.claim_id, request.owner, self._policy.executor_limit, *request.types
        return "claim", (self._clock(), *executor, *limits, *more)

    def read(self, request: ClaimRequest, reply: Reply) -> ClaimedJobs:
        """Return what a claim got, from the answer of the script, and log it."""
        replayed, *replies = cast("list[Reply]", reply)
        jobs = [Claimed(read_job(each), *read_attempt(each), self._policy.lease_ms) for each in replies]
        claimed = ClaimedJobs(jobs, replayed == 1)
        log_claim(request.executor_id, claimed)
        return claimed

    def _heartbeat(
        self, executor_id: str, beats: Sequence[Beat], which: str, owner: str
    ) -> tuple[list[str], list[str]]:
        jobs = (text for beat in beats for text in _beat_arguments(beat))
        policy = self._policy
        lease = policy.lease_ms, which, owner, policy.executor_limit
        reply = self._scripts.call("heartbeat", self._clock(), executor_id, *lease, *jobs)
        return cast("tuple[list[str], list[str]]", reply)

    def _renewed(self, answer: str) -> Renewed:
        return Renewed(self._policy.lease_ms, answer == CANCEL_REQUESTED)

    def _finish(self, report: Report) -> Finished:
        name, arguments = report.call(self._clock(), self._policy.max_host_faults)
        finished = report.read(self._scripts.call(name, *arguments))
        log_report(report, finished)
        return finished


def _beat_arguments(beat: Beat) -> list[str]:
    return [beat.job_id, beat.attempt_token, *write_live_output(beat.output)]
