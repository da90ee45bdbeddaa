"""Everything that changes the queue: one method per script, of the same name."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from jobqueue import logs
from jobqueue.errors import JobQueueError
from jobqueue.job import Job, NewJob, Reason, Spec, Status
from jobqueue.queue.policy import Policy
from jobqueue.queue.records import UNKNOWN_IP, read_attempt, read_job, write_measured, write_spec
from jobqueue.queue.scripts import Clock, Scripts, redis_clock, refusal
from jobqueue.result import Holder, LiveOutput, Result

SWEEP_LIMIT = 100
FORCE, ASKED = "force", "asked"
"""What `lua/cancel.lua` is told and answers when running jobs are to stop, too."""

NOTHING_NEW = LiveOutput()


@dataclass(frozen=True)
class Submitted:
    """What a client is told of the jobs it submitted: their ids in the order sent, and when."""

    job_ids: Sequence[str]
    created_at_ms: int


@dataclass(frozen=True)
class Claimed:
    """A job for an executor, with the token that stands for this attempt, the attempt's number (from 1), and the time
    the executor may stay silent.
    """

    job: Job
    attempt_token: str
    attempt: int
    lease_ms: int


@dataclass(frozen=True)
class Renewed:
    """A lease that goes on for so long, and whether somebody asked the job to stop."""

    lease_ms: int
    cancel_requested: bool


@dataclass(frozen=True)
class Finished:
    """The status that a report gave its job, and whether that very report was stored before."""

    status: Status
    repeated: bool


@dataclass(frozen=True)
class Swept:
    """What one sweep did, and whether there may be more to do."""

    leases_lost: int
    jobs_removed: int
    executors_forgotten: int

    @property
    def more(self) -> bool:
        """Whether one of the counts reached SWEEP_LIMIT."""
        return SWEEP_LIMIT in (self.leases_lost, self.jobs_removed, self.executors_forgotten)


class Commands:
    """The verbs. Each raises StoreUnavailable when Redis is away; then the change may or may not have been made."""

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
        """Hand the next pending job to an executor; None when there is none."""
        reply = self._scripts.call(
            "claim",
            self._clock(),
            executor_id,
            executor_ip or UNKNOWN_IP,
            secrets.token_hex(16),
            self._policy.lease_ms,
            self._policy.max_attempts,
        )
        if reply is None:
            return None
        attempt_token, attempt = read_attempt(reply)
        job = read_job(reply)
        logs.logger().info("claim", job_id=job.id, executor_id=executor_id, attempt=attempt)
        return Claimed(job, attempt_token, attempt, self._policy.lease_ms)

    def heartbeat(self, job_id: str, holder: Holder, output: LiveOutput = NOTHING_NEW) -> Renewed:
        """Renew a lease, and keep what the program has written lately. Raises JobNotFound, NotHeld."""
        lease_ms = self._policy.lease_ms
        reply = self._scripts.call("heartbeat", self._clock(), job_id, *_words(holder), lease_ms, *output.arguments())
        _, cancel_requested = cast("list[int]", reply)
        return Renewed(lease_ms, cancel_requested == 1)

    def complete(self, job_id: str, holder: Holder, result: Result) -> Finished:
        """End a job as completed. Raises JobNotFound, NotRunning, LeaseLost."""
        return self._finish("complete", job_id, holder, result)

    def fail(self, job_id: str, holder: Holder, result: Result) -> Finished:
        """End a job as failed; as cancelled when somebody asked it to stop and that is why it ended.

        Raises JobNotFound, NotRunning, LeaseLost.
        """
        return self._finish("fail", job_id, holder, result)

    def release(self, job_id: str, holder: Holder, reason: Reason | None = None) -> Status:
        """Give a running job back to its old place in the queue; return what it is now: pending, or cancelled when
        somebody asked it to stop. Raises JobNotFound, NotRunning, LeaseLost.
        """
        status = Status(str(self._scripts.call("release", self._clock(), job_id, *_words(holder), reason or "")))
        logs.logger().info("release", job_id=job_id, executor_id=holder.executor_id, status=str(status))
        return status

    def cancel(self, job_id: str, force: bool = False) -> Status:
        """End a pending job before it runs; with force, ask a running one to stop. Return what the job is now.

        Raises JobNotFound, NotPending.
        """
        [answer] = self._cancel([job_id], FORCE if force else "")
        error = refusal(answer)
        if error is not None:
            raise error
        return Status.RUNNING if answer == ASKED else Status.CANCELLED

    def cancel_many(self, job_ids: Sequence[str]) -> list[JobQueueError | None]:
        """Cancel each of these jobs if it is pending; return for each None or what cancel would raise."""
        return [refusal(answer) for answer in self._cancel(job_ids, "")]

    def sweep(self) -> Swept:
        """Do what time has made due, at most SWEEP_LIMIT of each kind."""
        policy = self._policy
        reply = self._scripts.call(
            "sweep",
            self._clock(),
            policy.lease_ms,
            policy.max_attempts,
            policy.retention_ms,
            policy.executor_timeout_ms,
            SWEEP_LIMIT,
        )
        swept = Swept(*cast("list[int]", reply))
        if swept.leases_lost or swept.jobs_removed:
            logs.logger().info("sweep", leases_lost=swept.leases_lost, jobs_removed=swept.jobs_removed)
        return swept

    def _with_timeout(self, spec: Spec) -> Spec:
        return spec if spec.timeout_seconds is not None else replace(spec, timeout_seconds=self._policy.timeout_seconds)

    def _cancel(self, job_ids: Sequence[str], force: str) -> list[str]:
        answers = cast("list[str]", self._scripts.call("cancel", self._clock(), force, *job_ids))
        for job_id, answer in zip(job_ids, answers, strict=True):
            if answer in ("", ASKED):
                logs.logger().info("cancel", job_id=job_id, ended=answer == "")
        return answers

    def _finish(self, verb: str, job_id: str, holder: Holder, result: Result) -> Finished:
        exit_code = "" if result.exit_code is None else str(result.exit_code)
        kept = result.cut()
        texts = (kept.stdout, kept.stderr, kept.reason or "", write_measured(kept.measured))
        message = (kept.error_message,) if verb == "fail" else ()
        reply = self._scripts.call(verb, self._clock(), job_id, *_words(holder), exit_code, *texts, *message)
        repeated, status = cast("tuple[int, str]", reply)
        finished = Finished(Status(status), repeated == 1)
        logs.logger().info(
            verb,
            job_id=job_id,
            executor_id=holder.executor_id,
            exit_code=exit_code,
            status=status,
            repeat=finished.repeated,
        )
        return finished


def _words(holder: Holder) -> tuple[str, str]:
    return holder.executor_id, holder.attempt_token
