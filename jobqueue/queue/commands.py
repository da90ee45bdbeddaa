"""Everything that changes the queue: one method per script, of the same name."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from jobqueue import logs
from jobqueue.errors import JobQueueError
from jobqueue.job import HOST_FAULTS, Job, NewJob, Reason, Spec, Status
from jobqueue.output import cut
from jobqueue.queue.policy import Policy
from jobqueue.queue.records import UNKNOWN, read_attempt, read_job, write_live_output, write_result, write_spec
from jobqueue.queue.scripts import Clock, Scripts, redis_clock, refusal
from jobqueue.result import Holder, LiveOutput, Result

SWEEP_LIMIT = 100
FORCE, CANCEL_REQUESTED = "force", "cancel_requested"
"""The argument of `lua/cancel.lua` that includes running jobs, and its answer for such a job."""

RELEASE_MESSAGE_BYTES = 4096
"""How much is stored of the message of a release. A job keeps up to a hundred of them, one for each attempt."""

NO_OUTPUT = LiveOutput()


@dataclass(frozen=True)
class Submitted:
    """New jobs: their ids, in the order in which the jobs were sent, and when they were stored."""

    job_ids: Sequence[str]
    created_at_ms: int


@dataclass(frozen=True)
class Claimed:
    """A job for an executor: the token and the number (from 1) of this attempt, how long the executor may be silent."""

    job: Job
    attempt_token: str
    attempt: int
    lease_ms: int


@dataclass(frozen=True)
class Renewed:
    """A renewed lease: how long it lasts from now on, and whether the job's cancellation was requested."""

    lease_ms: int
    cancel_requested: bool


@dataclass(frozen=True)
class Finished:
    """The status that a report gave its job, and whether it was a replay: the same report had been stored before."""

    status: Status
    replayed: bool


@dataclass(frozen=True)
class Swept:
    """What one sweep did."""

    leases_lost: int
    jobs_removed: int
    executors_forgotten: int
    jobs_queued: int = 0

    @property
    def more(self) -> bool:
        """Whether there may be more to do: one of the counts reached SWEEP_LIMIT."""
        return SWEEP_LIMIT in (self.leases_lost, self.jobs_removed, self.executors_forgotten, self.jobs_queued)


class Commands:
    """The methods that change the queue.

    Each raises StoreUnavailable when Redis does not answer; the change may or may not have been made then.
    """

    def __init__(self, scripts: Scripts, policy: Policy, clock: Clock = redis_clock) -> None:
        self._scripts = scripts
        self._policy = policy
        self._clock = clock

    def submit(self, jobs: Sequence[NewJob]) -> Submitted:
        """Store new jobs, all or none. Raises StoreFull."""
        job_ids = [str(uuid.uuid4()) for _ in jobs]
        arguments = [
            argument
            for job_id, job in zip(job_ids, jobs, strict=True)
            for argument in (job_id, job.type, job.priority, write_spec(self._with_timeout(job.spec)))
        ]
        created_at_ms = cast("int", self._scripts.call("submit", self._clock(), *arguments))
        for job_id, job in zip(job_ids, jobs, strict=True):
            logs.logger().info("submit", job_id=job_id, type=job.type, priority=str(job.priority))
        return Submitted(job_ids, created_at_ms)

    def claim(self, executor_id: str, executor_ip: str | None) -> Claimed | None:
        """Hand the next pending job to an executor. Return None when no job is pending that it may have now.

        It may not have a job that is delayed, nor one that it released after a host fault as long as others ask.
        """
        lease_ms, max_attempts = self._policy.lease_ms, self._policy.max_attempts
        attempt = (executor_id, executor_ip or UNKNOWN, secrets.token_hex(16))
        reply = self._scripts.call("claim", self._clock(), *attempt, lease_ms, max_attempts)
        if reply is None:
            return None
        attempt_token, number = read_attempt(reply)
        job = read_job(reply)
        logs.logger().info("claim", job_id=job.id, executor_id=executor_id, attempt=number)
        return Claimed(job, attempt_token, number, lease_ms)

    def heartbeat(self, job_id: str, holder: Holder, output: LiveOutput = NO_OUTPUT) -> Renewed:
        """Renew a lease, and keep the latest output of the program. Raises JobNotFound, NotHeld."""
        lease_ms = self._policy.lease_ms
        live = write_live_output(output)
        reply = self._scripts.call("heartbeat", self._clock(), job_id, *_arguments(holder), lease_ms, *live)
        _, cancel_requested = cast("list[int]", reply)
        return Renewed(lease_ms, cancel_requested == 1)

    def complete(self, job_id: str, holder: Holder, result: Result) -> Finished:
        """End a job as completed. Raises JobNotFound, NotRunning, LeaseLost."""
        return self._finish("complete", job_id, holder, result)

    def fail(self, job_id: str, holder: Holder, result: Result) -> Finished:
        """End a job as failed, or as cancelled if its cancellation was requested and that is why it ended.

        Raises JobNotFound, NotRunning, LeaseLost.
        """
        return self._finish("fail", job_id, holder, result)

    def release(self, job_id: str, holder: Holder, reason: Reason | None = None, error_message: str = "") -> Status:
        """Release a running job to its old place in the queue. Raises JobNotFound, NotRunning, LeaseLost.

        After a host fault (HOST_FAULTS) the job is delayed, and fails if it has met too many of them. Return the job's
        new status: pending, failed, or cancelled if its cancellation was requested.
        """
        host_fault = reason in HOST_FAULTS
        message = cut(error_message, RELEASE_MESSAGE_BYTES)
        report = (reason or "", message, self._policy.max_host_faults if host_fault else "")
        status = Status(str(self._scripts.call("release", self._clock(), job_id, *_arguments(holder), *report)))
        facts = {"status": str(status), "reason": str(reason or "")}
        logs.logger().info("release", job_id=job_id, executor_id=holder.executor_id, **facts)
        return status

    def cancel(self, job_id: str, force: bool = False) -> Status:
        """Cancel a pending job. With force, a running job is asked to stop instead of being refused.

        Return the job's status after the call: cancelled, or still running. Raises JobNotFound, NotPending.
        """
        [answer] = self._cancel([job_id], FORCE if force else "")
        if answer not in ("", CANCEL_REQUESTED):
            raise refusal(answer) or JobQueueError(answer)
        return Status.RUNNING if answer == CANCEL_REQUESTED else Status.CANCELLED

    def cancel_many(self, job_ids: Sequence[str]) -> list[JobQueueError | None]:
        """Cancel each of these jobs if it is pending. Return for each None, or the error that cancel would raise."""
        return [refusal(answer) for answer in self._cancel(job_ids, "")]

    def sweep(self) -> Swept:
        """Do what has become due, at most SWEEP_LIMIT of each kind.

        That is: end leases, queue jobs whose delay is over, remove old jobs, forget executors.
        """
        policy = self._policy
        limits = (policy.lease_ms, policy.max_attempts, policy.retention_ms, policy.executor_timeout_ms, SWEEP_LIMIT)
        reply = self._scripts.call("sweep", self._clock(), *limits)
        swept = Swept(*cast("list[int]", reply))
        if swept.leases_lost or swept.jobs_removed:
            logs.logger().info("sweep", leases_lost=swept.leases_lost, jobs_removed=swept.jobs_removed)
        return swept

    def _with_timeout(self, spec: Spec) -> Spec:
        return spec if spec.timeout_seconds is not None else replace(spec, timeout_seconds=self._policy.timeout_seconds)

    def _cancel(self, job_ids: Sequence[str], force: str) -> list[str]:
        answers = cast("list[str]", self._scripts.call("cancel", self._clock(), force, *job_ids))
        for job_id, answer in zip(job_ids, answers, strict=True):
            if answer in ("", CANCEL_REQUESTED):
                logs.logger().info("cancel", job_id=job_id, ended=answer == "")
        return answers

    def _finish(self, verb: str, job_id: str, holder: Holder, result: Result) -> Finished:
        # What is compared with a stored result must have been cut in the same way, so it is cut before the script runs.
        stored = result.cut()
        exit_code = "" if stored.exit_code is None else str(stored.exit_code)
        texts = write_result(stored, with_message=verb == "fail")
        reply = self._scripts.call(verb, self._clock(), job_id, *_arguments(holder), exit_code, *texts)
        replayed, status = cast("tuple[int, str]", reply)
        finished = Finished(Status(status), replayed == 1)
        facts = {"exit_code": exit_code, "status": status, "replay": finished.replayed}
        logs.logger().info(verb, job_id=job_id, executor_id=holder.executor_id, **facts)
        return finished


def _arguments(holder: Holder) -> tuple[str, str]:
    return holder.executor_id, holder.attempt_token
