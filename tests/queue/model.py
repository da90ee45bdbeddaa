"""A model of the queue in plain Python, to compare the queue with: one dictionary of jobs, no indexes, no keys."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from jobqueue.errors import JobNotFound, JobQueueError, LeaseLost, NotHeld, NotPending, NotRunning
from jobqueue.job import Attempt, AttemptStatus, Priority, Reason, Status
from jobqueue.queue.commands import Finished, Renewed, Swept
from jobqueue.queue.policy import Policy
from jobqueue.result import Holder, Piece, Result

Refusal = type[JobQueueError]
NOTHING = Piece(0, "")


@dataclass
class ModelJob:
    """A job. `holder` has the token of its attempt as long as a report with that token can match."""

    id: str
    sequence: int
    priority: Priority
    type: str
    status: Status = Status.PENDING
    holder: Holder | None = None
    claimed: int = 0
    started_ms: int | None = None
    deadline_ms: int = 0
    ended_ms: int | None = None
    result: Result | None = None
    reason: Reason | None = None
    cancel_requested: bool = False
    attempt_count: int = 0
    lost: int = 0
    archived: list[Attempt] = field(default_factory=list)
    live: Piece = NOTHING

    @property
    def executor_id(self) -> str | None:
        """The executor that runs the job, or ran it last."""
        return self.holder.executor_id if self.holder else None

    def attempts(self) -> list[Attempt]:
        """Return the attempts that the job's details must list."""
        if self.holder is None or not self.holder.attempt_token:
            return self.archived
        return [*self.archived, self.attempt(AttemptStatus(self.status), self.ended_ms, self.reason)]

    def attempt(self, status: AttemptStatus, ended_ms: int | None, reason: Reason | None) -> Attempt:
        """Return the newest attempt."""
        assert self.executor_id is not None
        assert self.started_ms is not None
        return Attempt(self.executor_id, None, self.started_ms, ended_ms, status, reason)

    def outcome(self, reported: Status, reason: Reason | None) -> Status:
        """Return the status that a report gives the job."""
        stopped = reported is Status.FAILED and reason in {None, Reason.CANCELLED}
        return Status.CANCELLED if self.cancel_requested and stopped else reported

    def add_output(self, piece: Piece) -> None:
        """Add a piece of output to the live output. One byte is one character here."""
        end = self.live.offset + len(self.live.data)
        if piece.offset > end:
            self.live = piece
        else:
            self.live = replace(self.live, data=self.live.data + piece.data[end - piece.offset :])


@dataclass
class ModelExecutor:
    """An executor that the queue remembers."""

    seen_ms: int
    completed: int = 0


@dataclass
class Model:
    """The queue. Each method does what the script of the same name must do, and returns what that must answer."""

    policy: Policy
    now_ms: int
    jobs: dict[str, ModelJob] = field(default_factory=dict)
    executors: dict[str, ModelExecutor] = field(default_factory=dict)
    submitted: int = 0
    claims: int = 0
    swept_ms: int | None = None
    grace_until_ms: int = 0

    def submit(self, job_id: str, priority: Priority, type: str) -> None:
        """Add a job at the end of its queue."""
        self.submitted += 1
        self.jobs[job_id] = ModelJob(job_id, self.submitted, priority, type)

    def queue(self) -> list[ModelJob]:
        """Return the pending jobs in the order in which they must be handed out."""
        pending = [job for job in self.jobs.values() if job.status is Status.PENDING]
        return sorted(pending, key=lambda job: (list(Priority).index(job.priority), job.sequence))

    def held(self, executor_id: str) -> list[ModelJob]:
        """Return the jobs that an executor runs, the latest claim first."""
        mine = [job for job in self.running() if job.executor_id == executor_id]
        return sorted(mine, key=lambda job: -job.claimed)

    def running(self) -> list[ModelJob]:
        """Return the running jobs."""
        return [job for job in self.jobs.values() if job.status is Status.RUNNING]

    def with_result(self) -> list[ModelJob]:
        """Return the jobs that ended with a result."""
        return [job for job in self.jobs.values() if job.result is not None]

    def active(self) -> dict[str, tuple[int, int, str | None]]:
        """Return when each active executor was seen, how many jobs it completed, and the job it claimed last."""
        timeout_ms = self.policy.executor_timeout_ms
        return {
            name: (executor.seen_ms, executor.completed, next((job.id for job in self.held(name)), None))
            for name, executor in self.executors.items()
            if self._since(executor.seen_ms) < timeout_ms
        }

    def next_job(self, executor_id: str) -> ModelJob | None:
        """End expired leases, as a claim does first, and return the job that the claim must hand out."""
        self._mark_seen(executor_id)
        self._lose()
        return next(iter(self.queue()), None)

    def claim(self, job: ModelJob, holder: Holder) -> None:
        """Hand out that job."""
        self.claims += 1
        job.status, job.holder, job.claimed = Status.RUNNING, holder, self.claims
        job.attempt_count += 1
        job.started_ms = self.now_ms
        job.deadline_ms = self.now_ms + self.policy.lease_ms

    def heartbeat(self, job_id: str, holder: Holder, piece: Piece) -> Refusal | Renewed:
        """Renew a lease."""
        job = self.jobs.get(job_id)
        if job is None:
            return JobNotFound
        if not _holds(job, holder):
            return NotHeld
        job.deadline_ms = self.now_ms + self.policy.lease_ms
        job.add_output(piece)
        self._mark_seen(holder.executor_id)
        return Renewed(self.policy.lease_ms, job.cancel_requested)

    def finish(self, reported: Status, job_id: str, holder: Holder, result: Result) -> Refusal | Finished:
        """End a running job with a result, unless the same result is stored already."""
        job = self.jobs.get(job_id)
        if job is None:
            return JobNotFound
        status = job.outcome(reported, result.reason)
        default = None if result.exit_code is None else Reason.EXITED
        result = replace(result, reason=result.reason or (Reason.CANCELLED if status is Status.CANCELLED else default))
        if job.status is status and job.result == result and _has_token(job, holder):
            return Finished(status, True)
        if not _holds(job, holder):
            return LeaseLost if job.status is Status.RUNNING else NotRunning
        job.result = result
        self._end(job, status, result.reason)
        self._mark_seen(holder.executor_id).completed += status is Status.COMPLETED
        return Finished(status, False)

    def release(self, job_id: str, holder: Holder, reason: Reason | None) -> Refusal | Status:
        """Release a running job."""
        job = self.jobs.get(job_id)
        if job is None:
            return JobNotFound
        if not _holds(job, holder):
            return LeaseLost if job.status is Status.RUNNING else NotRunning
        self._mark_seen(holder.executor_id)
        self._end_attempt(job, AttemptStatus.RELEASED, reason)
        return job.status

    def cancel(self, job_id: str, force: bool) -> Refusal | Status:
        """Cancel a pending job; with force, ask a running one to stop."""
        job = self.jobs.get(job_id)
        if job is None:
            return JobNotFound
        if force and job.status is Status.RUNNING:
            job.cancel_requested = True
            return Status.RUNNING
        if job.status is not Status.PENDING:
            return NotPending
        self._end(job, Status.CANCELLED, Reason.CANCELLED)
        return Status.CANCELLED

    def sweep(self) -> Swept:
        """Do what has become due."""
        lost = self._lose()
        old = [job.id for job in self.jobs.values() if self._since(job.ended_ms) >= self.policy.retention_ms]
        for job_id in old:
            del self.jobs[job_id]
        timeout_ms = self.policy.executor_timeout_ms
        silent = [name for name, executor in self.executors.items() if self._since(executor.seen_ms) >= timeout_ms]
        for executor_id in silent:
            del self.executors[executor_id]
        return Swept(lost, len(old), len(silent))

    def _lose(self) -> int:
        if self._in_grace():
            return 0
        lost = [job for job in self.running() if job.deadline_ms <= self.now_ms]
        for job in lost:
            job.lost += 1
            self._end_attempt(job, AttemptStatus.LOST, Reason.LEASE_LOST)
        return len(lost)

    def _end_attempt(self, job: ModelJob, status: AttemptStatus, reason: Reason | None) -> None:
        job.archived.append(job.attempt(status, self.now_ms, reason))
        job.live = NOTHING
        if job.cancel_requested:
            self._end(job, Status.CANCELLED, Reason.CANCELLED)
        elif status is AttemptStatus.LOST and job.lost >= self.policy.max_attempts:
            self._end(job, Status.FAILED, Reason.LEASE_LOST)
        else:
            job.status, job.holder, job.started_ms = Status.PENDING, None, None
            return
        job.holder = Holder(str(job.executor_id))

    def _in_grace(self) -> bool:
        """Return whether leases are not ended now: after an absence of the queue, each lasts for one more lease."""
        if self._since(self.swept_ms) > max(self.policy.lease_ms / 2, 2000):
            self.grace_until_ms = self.now_ms + self.policy.lease_ms
        self.swept_ms = self.now_ms
        return self.now_ms < self.grace_until_ms

    def _since(self, moment_ms: int | None) -> int:
        return -1 if moment_ms is None else self.now_ms - moment_ms

    def _end(self, job: ModelJob, status: Status, reason: Reason | None) -> None:
        job.status, job.ended_ms, job.reason = status, self.now_ms, reason
        job.live = NOTHING

    def _mark_seen(self, executor_id: str) -> ModelExecutor:
        executor = self.executors.setdefault(executor_id, ModelExecutor(self.now_ms))
        executor.seen_ms = self.now_ms
        return executor


def _has_token(job: ModelJob, holder: Holder) -> bool:
    return job.holder is not None and "" != holder.attempt_token == job.holder.attempt_token


def _holds(job: ModelJob, holder: Holder) -> bool:
    named = job.status is Status.RUNNING and job.executor_id == holder.executor_id
    return named and (holder.attempt_token == "" or _has_token(job, holder))
