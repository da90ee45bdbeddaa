"""Everything that changes the queue: one method per script, of the same name."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from jobqueue import logs
from jobqueue.errors import JobQueueError
from jobqueue.job import Job, NewJob
from jobqueue.output import cut
from jobqueue.queue.records import UNKNOWN_IP, read_job, write_spec
from jobqueue.queue.rules import Rules
from jobqueue.queue.scripts import Reply, Scripts, refusal

SWEEP_LIMIT = 100

Clock = Callable[[], str]
"""The time in milliseconds as text, or "" to let Redis say it. Only tests know better than Redis."""


def redis_clock() -> str:
    """Leave the time to Redis."""
    return ""


@dataclass(frozen=True)
class Submitted:
    """What a client is told of the jobs it submitted: their ids in the order sent, and when."""

    job_ids: Sequence[str]
    created_at_ms: int


@dataclass(frozen=True)
class Claimed:
    """A job for an executor, with the token that stands for this attempt and the time it may stay silent."""

    job: Job
    attempt_token: str
    lease_ms: int


@dataclass(frozen=True)
class Holder:
    """Who says something about a running job. Without a token its id alone must do."""

    executor_id: str
    attempt_token: str = ""


@dataclass(frozen=True)
class Result:
    """How a run ended. `exit_code` is None when the program never ran; outputs are cut to their limit when stored."""

    exit_code: int | None
    stdout: str = ""
    stderr: str = ""
    error_message: str = ""


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

    def __init__(self, scripts: Scripts, rules: Rules, clock: Clock = redis_clock) -> None:
        self._scripts = scripts
        self._rules = rules
        self._clock = clock

    def submit(self, jobs: Sequence[NewJob]) -> Submitted:
        """Store new jobs, all or none. Raises StoreFull."""
        job_ids = [str(uuid.uuid4()) for _ in jobs]
        arguments = [
            argument
            for job_id, job in zip(job_ids, jobs, strict=True)
            for argument in (job_id, job.type, job.priority, write_spec(job.spec))
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
            self._rules.lease_ms,
            self._rules.max_attempts,
        )
        if reply is None:
            return None
        job, attempt_token = read_job(reply)
        logs.logger().info("claim", job_id=job.id, executor_id=executor_id)
        return Claimed(job, attempt_token, self._rules.lease_ms)

    def heartbeat(self, job_id: str, holder: Holder) -> int:
        """Renew a lease and return its length in milliseconds. Raises JobNotFound, NotHeld."""
        self._scripts.call(
            "heartbeat", self._clock(), job_id, holder.executor_id, holder.attempt_token, self._rules.lease_ms
        )
        return self._rules.lease_ms

    def complete(self, job_id: str, holder: Holder, result: Result) -> bool:
        """End a job as completed; True when this very result was stored before.

        Raises JobNotFound, NotRunning, LeaseLost.
        """
        return self._finish("complete", job_id, holder, result)

    def fail(self, job_id: str, holder: Holder, result: Result) -> bool:
        """End a job as failed; True when this very result was stored before.

        Raises JobNotFound, NotRunning, LeaseLost.
        """
        return self._finish("fail", job_id, holder, result, cut(result.error_message))

    def cancel(self, job_id: str) -> None:
        """End a pending job before it runs. Raises JobNotFound, NotPending."""
        error = self.cancel_many([job_id])[0]
        if error is not None:
            raise error

    def cancel_many(self, job_ids: Sequence[str]) -> list[JobQueueError | None]:
        """Cancel each of these jobs if it is pending; return for each None or what cancel would raise."""
        answers = cast("list[str]", self._scripts.call("cancel", self._clock(), *job_ids))
        for job_id, answer in zip(job_ids, answers, strict=True):
            if not answer:
                logs.logger().info("cancel", job_id=job_id)
        return [refusal(answer) for answer in answers]

    def sweep(self) -> Swept:
        """Do what time has made due, at most SWEEP_LIMIT of each kind."""
        rules = self._rules
        reply = self._scripts.call(
            "sweep",
            self._clock(),
            rules.lease_ms,
            rules.max_attempts,
            rules.retention_ms,
            rules.executor_timeout_ms,
            SWEEP_LIMIT,
        )
        swept = Swept(*cast("list[int]", reply))
        if swept.leases_lost or swept.jobs_removed:
            logs.logger().info("sweep", leases_lost=swept.leases_lost, jobs_removed=swept.jobs_removed)
        return swept

    def _finish(self, verb: str, job_id: str, holder: Holder, result: Result, *more: str) -> bool:
        exit_code = "" if result.exit_code is None else str(result.exit_code)
        reply: Reply = self._scripts.call(
            verb,
            self._clock(),
            job_id,
            holder.executor_id,
            holder.attempt_token,
            exit_code,
            cut(result.stdout),
            cut(result.stderr),
            *more,
        )
        logs.logger().info(verb, job_id=job_id, executor_id=holder.executor_id, exit_code=exit_code, repeat=reply == 1)
        return reply == 1
