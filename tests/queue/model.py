"""What the queue must do, as plainly as Python can say it: one dictionary of jobs, no indexes, no keys."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobqueue.errors import JobNotFound, JobQueueError, LeaseLost, NotHeld, NotPending, NotRunning
from jobqueue.job import Attempt, AttemptStatus, Priority, Status
from jobqueue.queue.commands import Holder, Result, Swept
from jobqueue.queue.rules import Rules

Refusal = type[JobQueueError]


@dataclass
class ModelJob:
    """A job, with the token of its attempt as long as that can still say something about it."""

    id: str
    place: int
    priority: Priority
    type: str
    status: Status = Status.PENDING
    holder: Holder | None = None
    claimed: int = 0
    started_ms: int | None = None
    deadline_ms: int = 0
    ended_ms: int | None = None
    result: Result | None = None
    lost: list[Attempt] = field(default_factory=list)

    @property
    def executor_id(self) -> str | None:
        """Who runs it, or ran it last."""
        return self.holder.executor_id if self.holder else None

    def attempts(self) -> list[Attempt]:
        """Return the attempts as the job's details must tell them."""
        if self.holder is None or not self.holder.attempt_token:
            return self.lost
        return [*self.lost, self.attempt(AttemptStatus(self.status), self.ended_ms)]

    def attempt(self, status: AttemptStatus, ended_ms: int | None) -> Attempt:
        """Return the newest attempt."""
        assert self.executor_id is not None
        assert self.started_ms is not None
        return Attempt(self.executor_id, None, self.started_ms, ended_ms, status)


@dataclass
class ModelExecutor:
    """An executor that is not forgotten."""

    heard_ms: int
    completed: int = 0


@dataclass
class Model:
    """The queue. Every method does what the script of that name must do, and returns what it must answer."""

    rules: Rules
    now_ms: int
    jobs: dict[str, ModelJob] = field(default_factory=dict)
    executors: dict[str, ModelExecutor] = field(default_factory=dict)
    submitted: int = 0
    claims: int = 0
    swept_ms: int | None = None
    grace_until_ms: int = 0

    def submit(self, job_id: str, priority: Priority, type: str) -> None:
        """Put a job at the end of its queue."""
        self.submitted += 1
        self.jobs[job_id] = ModelJob(job_id, self.submitted, priority, type)

    def queue(self) -> list[ModelJob]:
        """Return the pending jobs in the order in which they must be handed out."""
        pending = [job for job in self.jobs.values() if job.status is Status.PENDING]
        return sorted(pending, key=lambda job: (list(Priority).index(job.priority), job.place))

    def held(self, executor_id: str) -> list[ModelJob]:
        """Return the jobs an executor runs, the one it claimed last first."""
        mine = [job for job in self.running() if job.executor_id == executor_id]
        return sorted(mine, key=lambda job: -job.claimed)

    def running(self) -> list[ModelJob]:
        """Return the jobs that run."""
        return [job for job in self.jobs.values() if job.status is Status.RUNNING]

    def with_result(self) -> list[ModelJob]:
        """Return the jobs that ended with a result."""
        return [job for job in self.jobs.values() if job.result is not None]

    def active(self) -> dict[str, tuple[int, int, str | None]]:
        """Return when each active executor was heard from, how many jobs it completed, and the newest it runs."""
        timeout_ms = self.rules.executor_timeout_ms
        return {
            name: (executor.heard_ms, executor.completed, next((job.id for job in self.held(name)), None))
            for name, executor in self.executors.items()
            if self._since(executor.heard_ms) < timeout_ms
        }

    def next_job(self, executor_id: str) -> ModelJob | None:
        """Take back what is lost, as a claim does first, and return the job that it must hand out."""
        self._hear(executor_id)
        self._lose()
        return next(iter(self.queue()), None)

    def claim(self, job: ModelJob, holder: Holder) -> None:
        """Hand that job out."""
        self.claims += 1
        job.status, job.holder, job.claimed = Status.RUNNING, holder, self.claims
        job.started_ms = self.now_ms
        job.deadline_ms = self.now_ms + self.rules.lease_ms

    def heartbeat(self, job_id: str, holder: Holder) -> Refusal | int:
        """Renew a lease."""
        job = self.jobs.get(job_id)
        if job is None:
            return JobNotFound
        if not _holds(job, holder):
            return NotHeld
        job.deadline_ms = self.now_ms + self.rules.lease_ms
        self._hear(holder.executor_id)
        return self.rules.lease_ms

    def finish(self, status: Status, job_id: str, holder: Holder, result: Result) -> Refusal | bool:
        """End a running job with a result; True when it is the one that is stored."""
        job = self.jobs.get(job_id)
        if job is None:
            return JobNotFound
        if job.status is status and job.result == result and _has_token(job, holder):
            return True
        if job.status is not Status.RUNNING:
            return NotRunning
        if not _holds(job, holder):
            return LeaseLost
        job.result = result
        self._end(job, status)
        self._hear(holder.executor_id).completed += status is Status.COMPLETED
        return False

    def cancel(self, job_id: str) -> Refusal | None:
        """End a pending job."""
        job = self.jobs.get(job_id)
        if job is None:
            return JobNotFound
        if job.status is not Status.PENDING:
            return NotPending
        self._end(job, Status.CANCELLED)
        return None

    def sweep(self) -> Swept:
        """Do what time has made due."""
        lost = self._lose()
        old = [job.id for job in self.jobs.values() if self._since(job.ended_ms) >= self.rules.retention_ms]
        for job_id in old:
            del self.jobs[job_id]
        timeout_ms = self.rules.executor_timeout_ms
        silent = [name for name, executor in self.executors.items() if self._since(executor.heard_ms) >= timeout_ms]
        for executor_id in silent:
            del self.executors[executor_id]
        return Swept(lost, len(old), len(silent))

    def _lose(self) -> int:
        if self._in_grace():
            return 0
        lost = [job for job in self.running() if job.deadline_ms <= self.now_ms]
        for job in lost:
            job.lost.append(job.attempt(AttemptStatus.LOST, self.now_ms))
            if len(job.lost) >= self.rules.max_attempts:
                job.holder = Holder(str(job.executor_id))
                self._end(job, Status.FAILED)
            else:
                job.status, job.holder, job.started_ms = Status.PENDING, None, None
        return len(lost)

    def _in_grace(self) -> bool:
        """A queue that was away gives every lease a whole new length."""
        if self._since(self.swept_ms) > max(self.rules.lease_ms / 2, 2000):
            self.grace_until_ms = self.now_ms + self.rules.lease_ms
        self.swept_ms = self.now_ms
        return self.now_ms < self.grace_until_ms

    def _since(self, moment_ms: int | None) -> int:
        return -1 if moment_ms is None else self.now_ms - moment_ms

    def _end(self, job: ModelJob, status: Status) -> None:
        job.status, job.ended_ms = status, self.now_ms

    def _hear(self, executor_id: str) -> ModelExecutor:
        executor = self.executors.setdefault(executor_id, ModelExecutor(self.now_ms))
        executor.heard_ms = self.now_ms
        return executor


def _has_token(job: ModelJob, holder: Holder) -> bool:
    return job.holder is not None and "" != holder.attempt_token == job.holder.attempt_token


def _holds(job: ModelJob, holder: Holder) -> bool:
    named = job.status is Status.RUNNING and job.executor_id == holder.executor_id
    return named and (holder.attempt_token == "" or _has_token(job, holder))
