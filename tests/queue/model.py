"""A model of the queue in plain Python, to compare the queue with: one dictionary of jobs, no indexes, no keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from jobqueue.errors import JobNotFound, JobQueueError, LeaseLost, NotHeld, NotPending, NotRunning
from jobqueue.job import HOST_FAULTS, AttemptStatus, Priority, Reason, Status
from jobqueue.queue.claims import Renewed
from jobqueue.queue.commands import Swept
from jobqueue.queue.policy import Policy
from jobqueue.queue.records.reports import Finished
from jobqueue.result import Holder, Piece, Result
from tests.queue.model_job import NOTHING, ModelExecutor, ModelJob

Refusal = type[JobQueueError]
ASKING_MS = 10_000
UNRECEIVED_MS = 10_000
NEVER_RECEIVED = "the executor never received this job: the answer to its claim was lost"
OTHERS_FIRST_MS = 300_000
DELAYS_MS = (5_000, 10_000, 20_000)


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
    asked_ms: dict[str, int] = field(default_factory=dict)
    claim_ids: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def submit(self, job_id: str, priority: Priority, type: str) -> None:
        """Add a job at the end of its queue."""
        self.submitted += 1
        self.jobs[job_id] = ModelJob(job_id, self.submitted, priority, type)

    def queue(self) -> list[ModelJob]:
        """Return the pending jobs in the order in which they must be handed out, without those that are delayed."""
        pending = [job for job in self.jobs.values() if job.status is Status.PENDING and job.not_before_ms is None]
        return sorted(pending, key=lambda job: (list(Priority).index(job.priority), job.sequence))

    def delayed(self) -> list[ModelJob]:
        """Return the pending jobs that must not be handed out yet."""
        return [job for job in self.jobs.values() if job.status is Status.PENDING and job.not_before_ms is not None]

    def held(self, executor_id: str) -> list[ModelJob]:
        """Return the jobs that an executor runs, the latest claim first."""
        mine = [job for job in self.running() if job.executor_id == executor_id]
        return sorted(mine, key=lambda job: job.claimed, reverse=True)

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

    def repeat_claim(self, executor_id: str, claim_id: str) -> list[ModelJob] | None:
        """Return the jobs that a claim of this name got before and that are still held; None if there was none."""
        number, named_ms = self.claim_ids.get((executor_id, claim_id), (0, 0))
        # A name is forgotten at the end of the span of one lease that follows the span in which it was used last.
        if not number or self.now_ms // self.policy.lease_ms - named_ms // self.policy.lease_ms > 1:
            return None
        self._mark_seen(executor_id)
        self.asked_ms[executor_id] = self.now_ms
        self.claim_ids[executor_id, claim_id] = number, self.now_ms
        jobs = [job for job in reversed(self.held(executor_id)) if job.claimed[0] == number]
        for job in jobs:
            job.deadline_ms = self.now_ms + self.policy.lease_ms
            job.unreceived_ms = self.now_ms if job.unreceived_ms is not None else None
        return jobs

    def next_jobs(self, executor_id: str, types: Sequence[str]) -> list[ModelJob]:
        """End expired leases and delays, as a claim does first, and return the jobs that the claim may hand out."""
        self._mark_seen(executor_id)
        self.asked_ms[executor_id] = self.now_ms
        self._lose()
        self._queue_due()
        queue = [job for job in self.queue() if not types or job.type in types]
        return [job for job in queue if not self._is_for_others(job, executor_id)]

    def claim(self, claim_id: str, jobs: Sequence[ModelJob], holders: Sequence[Holder]) -> None:
        """Hand out these jobs, which must not be empty."""
        self.claims += 1
        for part, (job, holder) in enumerate(zip(jobs, holders, strict=True)):
            job.status, job.holder, job.claimed = Status.RUNNING, holder, (self.claims, part)
            job.attempt_count += 1
            job.started_ms = job.unreceived_ms = self.now_ms
            job.deadline_ms = self.now_ms + self.policy.lease_ms
        if claim_id:
            self.claim_ids[holders[0].executor_id, claim_id] = self.claims, self.now_ms

    def heartbeat(self, job_id: str, holder: Holder, piece: Piece) -> Refusal | Renewed:
        """Renew a lease."""
        job = self.jobs.get(job_id)
        if job is None:
            return JobNotFound
        if not _holds(job, holder):
            return NotHeld
        job.deadline_ms = self.now_ms + self.policy.lease_ms
        job.unreceived_ms = None
        job.add_output(piece)
        self._mark_seen(holder.executor_id)
        return Renewed(self.policy.lease_ms, job.cancel_requested)

    def take_back(self, executor_id: str) -> None:
        """Release the jobs that an executor never received. It has just named all that it did receive."""
        self._mark_seen(executor_id)
        for job in self.held(executor_id):
            if self._since(job.unreceived_ms) > UNRECEIVED_MS:
                self._end_attempt(job, AttemptStatus.RELEASED, None, NEVER_RECEIVED)

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

    def release(self, job_id: str, holder: Holder, reason: Reason | None, message: str) -> Refusal | Status:
        """Release a running job."""
        job = self.jobs.get(job_id)
        if job is None:
            return JobNotFound
        if not _holds(job, holder):
            return LeaseLost if job.status is Status.RUNNING else NotRunning
        self._mark_seen(holder.executor_id)
        job.host_faults += reason in HOST_FAULTS
        self._end_attempt(job, AttemptStatus.RELEASED, reason, message)
        if reason in HOST_FAULTS and job.status is Status.PENDING:
            job.not_before_ms = self.now_ms + DELAYS_MS[job.host_faults - 1]
            job.released_by.add(holder.executor_id)
            job.others_first_until_ms = job.not_before_ms + OTHERS_FIRST_MS
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
        return Swept(lost, len(old), len(silent), self._queue_due())

    def _lose(self) -> int:
        if self._in_grace():
            return 0
        lost = [job for job in self.running() if job.deadline_ms <= self.now_ms]
        for job in lost:
            job.lost += 1
            self._end_attempt(job, AttemptStatus.LOST, Reason.LEASE_LOST)
        return len(lost)

    def _queue_due(self) -> int:
        due = [job for job in self.delayed() if self._since(job.not_before_ms) >= 0]
        for job in due:
            job.not_before_ms = None
        return len(due)

    def _is_for_others(self, job: ModelJob, executor_id: str) -> bool:
        """Whether this executor released the job after a host fault, and another one asks that did not."""
        others = self.asked_ms.keys() - job.released_by
        ask = any(self._since(self.asked_ms[other]) < ASKING_MS for other in others)
        return executor_id in job.released_by and ask and self.now_ms < job.others_first_until_ms

    def _end_attempt(self, job: ModelJob, status: AttemptStatus, reason: Reason | None, message: str = "") -> None:
        job.unreceived_ms = None
        job.archived.append(replace(job.attempt(status, self.now_ms, reason), error_message=message or None))
        job.live = NOTHING
        if job.cancel_requested:
            self._end(job, Status.CANCELLED, Reason.CANCELLED)
        elif status is AttemptStatus.LOST and job.lost >= self.policy.max_attempts:
            self._end(job, Status.FAILED, Reason.LEASE_LOST)
        elif reason in HOST_FAULTS and job.host_faults >= self.policy.max_host_faults:
            self._end(job, Status.FAILED, reason)
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
        job.status, job.ended_ms, job.reason, job.not_before_ms = status, self.now_ms, reason, None
        job.unreceived_ms = None
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
