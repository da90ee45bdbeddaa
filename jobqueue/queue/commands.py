"""What changes the queue for those who submit jobs and for the queue itself: submit, cancel, sweep, look, count,
record.

One method per script, of the same name. What executors do is in `claims`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from jobqueue import logs
from jobqueue.errors import JobQueueError
from jobqueue.job import NewJob, Status
from jobqueue.queue.policy import Policy
from jobqueue.queue.records.activity import NOBODY, Who, word
from jobqueue.queue.records.submissions import Submission, make_ids, prepare
from jobqueue.queue.refusals import refusal
from jobqueue.queue.scripts import Call, Clock, Scripts, redis_clock
from jobqueue.queue.waiting.companions import Company, NoCompany, submit_along

SWEEP_LIMIT = 100
FORCE, CANCEL_REQUESTED = "force", "cancel_requested"
"""The argument of `lua/cancel.lua` that includes running jobs, and its answer for such a job."""


@dataclass(frozen=True)
class Submitted:
    """New jobs: their ids, in the order in which the jobs were sent, when they were stored, and whether this was a
    replay: the same request had stored them before.
    """

    job_ids: Sequence[str]
    created_at_ms: int
    replayed: bool = False


@dataclass(frozen=True)
class Swept:
    """What one sweep did, and after how many milliseconds the next lease or delay ends (0: none does)."""

    leases_lost: int
    jobs_removed: int
    executors_forgotten: int
    jobs_queued: int = 0
    next_due_ms: int = field(default=0, compare=False)

    @property
    def more(self) -> bool:
        """Whether there may be more to do: one of the counts reached SWEEP_LIMIT."""
        return SWEEP_LIMIT in (self.leases_lost, self.jobs_removed, self.executors_forgotten, self.jobs_queued)


@dataclass(frozen=True)
class Counted:
    """How many requests a caller has sent in a window of time, and when that ends."""

    count: int
    left_ms: int


class Commands:
    """The methods that submit and cancel jobs, and do what has become due.

    Each raises StoreUnavailable when Redis does not answer; the change may or may not have been made then.
    """

    def __init__(self, scripts: Scripts, policy: Policy, clock: Clock = redis_clock) -> None:
        self._scripts = scripts
        self._policy = policy
        self._clock = clock
        self.on_stored: Callable[[str], None] = lambda _: None
        """Gets the text of the notice that Redis sends about new jobs (`waiting/listener.py` reads it), before
        `submit` returns; not that of a job with which a claim of `company` has gone along.
        """
        self.company: Company = NoCompany()

    def submit(self, jobs: Sequence[NewJob], key: str = "", who: Who = NOBODY) -> Submitted:
        """Store new jobs, all or none. With a key, the same jobs again are not stored again, but answered as before.

        Raises StoreFull, QueueFull and TooManyTypes, and IdempotencyKeyReused for other jobs with the same key.
        """
        return self.store(self.prepare(jobs, key), who)

    def prepare(self, jobs: Sequence[NewJob], key: str = "") -> Submission:
        """Return jobs as `store` takes them. For many of them this takes a while, and asks nobody."""
        return prepare(jobs, self._policy.timeout_seconds, key)

    def store(self, submission: Submission, who: Who = NOBODY) -> Submitted:
        """Do what `submit` does with jobs that are prepared."""
        key = (submission.key, submission.fingerprint, submission.seed, self._policy.idempotency_key_ms)
        limits = self._policy.submit_limits
        call: Call = "submit", (self._clock(), *key, limits, *submission.records)
        only = submission.jobs[0] if len(submission.jobs) == 1 else None
        companion = self.company.companion_for(only.type) if only else None
        reply = submit_along(self._scripts, call, companion) if companion else self._scripts.call(call[0], *call[1])
        created_at_ms, first_seed, notice = cast("tuple[int, str, str]", reply)
        if notice and not companion:
            self.on_stored(notice)
        job_ids = make_ids(first_seed, len(submission.jobs)) if first_seed else submission.job_ids
        replay = {"replay": True} if first_seed else {}
        logs.logger().info("submit", **submission.facts(job_ids), **replay, **who.facts)
        return Submitted(job_ids, created_at_ms, replayed=bool(first_seed))

    def cancel(self, job_id: str, force: bool = False, who: Who = NOBODY) -> Status:
        """Cancel a pending job. With force, a running job is asked to stop instead of being refused.

        Return the job's status after the call: cancelled, or still running. Raises JobNotFound, NotPending.
        """
        [answer] = self._cancel([job_id], FORCE if force else "", who)
        if answer not in ("", CANCEL_REQUESTED):
            raise refusal(answer) or JobQueueError(answer)
        return Status.RUNNING if answer == CANCEL_REQUESTED else Status.CANCELLED

    def cancel_many(self, job_ids: Sequence[str], who: Who = NOBODY) -> list[JobQueueError | None]:
        """Cancel each of these jobs if it is pending. Return for each None, or the error that cancel would raise."""
        return [refusal(answer) for answer in self._cancel(job_ids, "", who)]

    def sweep(self) -> Swept:
        """Do what has become due, at most SWEEP_LIMIT of each kind.

        That is: end leases, queue jobs whose delay is over, remove old jobs, forget executors.
        """
        policy = self._policy
        limits = (policy.lease_ms, policy.max_attempts, policy.retention_ms, policy.executor_timeout_ms, SWEEP_LIMIT)
        reply = self._scripts.call("sweep", self._clock(), *limits, policy.executor_limit)
        swept = Swept(*cast("list[int]", reply))
        if swept.leases_lost or swept.jobs_removed:
            logs.logger().info("sweep", leases_lost=swept.leases_lost, jobs_removed=swept.jobs_removed)
        return swept

    def look(self, executor_ids: Iterable[str], groups: Sequence[Sequence[str]]) -> list[int]:
        """Note that executors still ask for jobs. Return how many pending jobs there are for each group of executors.

        A group is given by the types of the jobs that it takes; without any, it takes all.
        """
        limit = self._policy.executor_limit
        reply = self._scripts.call("look", self._clock(), " ".join(executor_ids), limit, *map(" ".join, groups))
        return cast("list[int]", reply)

    def count(self, window: str, length_ms: int) -> Counted:
        """Count a request in a window, which begins now if there is none."""
        return Counted(*cast("list[int]", self._scripts.call("count", window, length_ms)))

    def record(self, who: Who, action: str, count: int = 1, target: str = "") -> None:
        """Record what a caller did that no other script records."""
        self._scripts.call("record", self._clock(), who.text, action, word(target), count)

    def _cancel(self, job_ids: Sequence[str], force: str, who: Who) -> list[str]:
        answers = cast("list[str]", self._scripts.call("cancel", self._clock(), force, who.text, *job_ids))
        for job_id, answer in zip(job_ids, answers, strict=True):
            if answer in ("", CANCEL_REQUESTED):
                logs.logger().info("cancel", job_id=job_id, ended=answer == "")
        return answers
