"""What changes the queue for an executor: it claims a job, renews its lease, and completes, fails or releases it.

One method per script, of the same name.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import cast

from jobqueue import logs
from jobqueue.job import HOST_FAULTS, Job, Reason, Status
from jobqueue.output import cut
from jobqueue.queue.policy import Policy
from jobqueue.queue.records import UNKNOWN, read_attempt, read_job, write_live_output, write_result
from jobqueue.queue.scripts import Clock, Scripts, redis_clock
from jobqueue.result import Holder, LiveOutput, Result

RELEASE_MESSAGE_BYTES = 4096
"""How much is stored of the message of a release. A job keeps up to a hundred of them, one for each attempt."""

NO_OUTPUT = LiveOutput()


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


class Claims:
    """The methods of executors, from the claim of a job to the report of its end.

    Each raises StoreUnavailable when Redis does not answer; the change may or may not have been made then.
    """

    def __init__(self, scripts: Scripts, policy: Policy, clock: Clock = redis_clock) -> None:
        self._scripts = scripts
        self._policy = policy
        self._clock = clock

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
