"""Everything that reads the queue and changes nothing. All answers come from indexes, never from a scan of the keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import cast

from jobqueue.job import Job, JobSummary, Priority, Status, Stream
from jobqueue.queue.policy import Policy
from jobqueue.queue.records.activity import ActivityPage, read_activity
from jobqueue.queue.records.jobs import read_job, read_measured, read_rows, read_summaries
from jobqueue.queue.records.output_window import Part, follow_live, follow_stored
from jobqueue.queue.scripts import Clock, Reply, Scripts, redis_clock

STATUSES = " ".join(Status)
PRIORITIES = " ".join(Priority)
FINAL = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
COUNTERS = (*(f"finished_{status}" for status in FINAL), "attempts_lost", "host_faults", "never_received")
EXECUTOR_FIELDS = 5
FIRST_CURSOR = 10**15
"""Where a walk through a list begins: above the number of any job."""


@dataclass(frozen=True)
class Filter:
    """Which jobs to list; None matches all."""

    status: Status | None = None
    priority: Priority | None = None
    type: str | None = None


@dataclass(frozen=True)
class Page:
    """One page of a list, newest job first, the number of all jobs that match, and where the next page begins: at a
    cursor that is 0 if there is none.
    """

    jobs: Sequence[JobSummary]
    total: int
    next_cursor: int = 0


@dataclass(frozen=True)
class Stats:
    """Counts of the whole queue at one moment.

    jobs: the number of jobs by status and priority.
    oldest_pending_ms: how long the oldest pending job of each priority has waited, 0 if there is none.
    finished, attempts_lost, host_faults, never_received: totals since the queue was created, of jobs that ended, of
    attempts that were lost, of releases after a host fault, and of attempts whose executor never received the job.
    active_executors: the number of executors seen within the executor time-out.
    busy_executors: how many of them run jobs.
    """

    jobs: dict[tuple[Status, Priority], int]
    oldest_pending_ms: dict[Priority, int]
    finished: dict[Status, int]
    attempts_lost: int
    host_faults: int
    never_received: int
    active_executors: int
    busy_executors: int

    def by_status(self) -> dict[Status, int]:
        """Return the number of jobs in each status."""
        return {status: sum(self.jobs[status, priority] for priority in Priority) for status in Status}

    def pending(self) -> dict[Priority, int]:
        """Return the number of pending jobs of each priority."""
        return {priority: self.jobs[Status.PENDING, priority] for priority in Priority}


@dataclass(frozen=True)
class Executor:
    """An active executor, when it was last seen (milliseconds since 1970), and the job it claimed last and still runs.

    `jobs_completed` starts again at 0 after the executor was silent for longer than the executor time-out.
    """

    executor_id: str
    last_heartbeat_ms: int
    jobs_completed: int
    current_job_id: str | None
    job_type: str | None


@dataclass(frozen=True)
class ExecutorPage:
    """One page of the active executors, the one seen last first, and how many there are in all."""

    executors: Sequence[Executor]
    total: int


@dataclass(frozen=True)
class Output:
    """A part of a program's output, and the status of the job at that moment."""

    status: Status
    part: Part

    @property
    def ended(self) -> bool:
        """Whether the output is complete."""
        return self.status in FINAL


class Queries:
    """The methods that read. Each raises StoreUnavailable when Redis does not answer."""

    def __init__(self, scripts: Scripts, policy: Policy, clock: Clock = redis_clock) -> None:
        self._scripts = scripts
        self._policy = policy
        self._clock = clock

    def get(self, job_id: str) -> Job:
        """Return a job. Raises JobNotFound."""
        return read_job(self._scripts.call("get", job_id))

    def output(self, job_id: str, stream: Stream, offset: int) -> Output:
        """Return what is available of a stream from a byte offset on. Raises JobNotFound."""
        reply = self._scripts.call("output", job_id, stream)
        status, text, begin, measured = cast("tuple[str, str, str, str]", reply)
        if status not in FINAL:
            return Output(Status(status), follow_live(text, int(begin), offset))
        total_bytes = read_measured(measured).length_of_truncated(stream)
        return Output(Status(status), follow_stored(text, total_bytes, offset))

    def list(self, wanted: Filter, limit: int, offset: int = 0, cursor: int | None = None) -> Page:
        """Return at most `limit` of the matching jobs, newest first: after the newest `offset`, or from a cursor on.

        A cursor is the number of a job in the order in which jobs were submitted. The page has only older ones. So a
        walk that begins at FIRST_CURSOR and goes on at each `next_cursor` shows no job twice, whatever is submitted or
        changes meanwhile, and leaves out none that matches all the time.
        """
        status, priority = wanted.status or STATUSES, wanted.priority or PRIORITIES
        begin = (offset, "" if cursor is None else cursor)
        reply = self._scripts.call("list", status, priority, wanted.type or "", limit, *begin)
        total, next_cursor, *flat = cast("list[Reply]", reply)
        return Page(read_summaries(flat), cast("int", total), cast("int", next_cursor))

    def activity(self, limit: int, cursor: int | None = None) -> ActivityPage:
        """Return at most `limit` entries of the record of activity, newest first: the newest, or from a cursor on.

        A cursor is the number of an entry. The page has only older ones.
        """
        reply = self._scripts.call("activity", limit, "" if cursor is None else cursor)
        total, next_cursor, *lines = cast("list[int | str]", reply)
        entries = [*map(read_activity, map(str, lines))]
        return ActivityPage(entries, cast("int", total), cast("int", next_cursor))

    def stats(self) -> Stats:
        """Return all counts, from one moment."""
        timeout_ms = self._policy.executor_timeout_ms
        reply = self._scripts.call("stats", self._clock(), STATUSES, PRIORITIES, timeout_ms, " ".join(COUNTERS))
        jobs, oldest_pending_ms, totals, active, busy = cast("tuple[list[int], list[int], list[int], int, int]", reply)
        # Each list follows the words that were passed: these are paired again, and a missing number is an error.
        counters = dict(zip(COUNTERS, totals, strict=True))
        return Stats(
            jobs=dict(zip(product(Status, Priority), jobs, strict=True)),
            oldest_pending_ms=dict(zip(Priority, oldest_pending_ms, strict=True)),
            finished={status: counters[f"finished_{status}"] for status in FINAL},
            attempts_lost=counters["attempts_lost"],
            host_faults=counters["host_faults"],
            never_received=counters["never_received"],
            active_executors=active,
            # An executor that fell silent may still hold a lease that is longer than the executor time-out.
            busy_executors=min(busy, active),
        )

    def executors(self, limit: int, offset: int) -> ExecutorPage:
        """Return at most `limit` of the active executors, the one seen last first, after skipping `offset`."""
        timeout_ms = self._policy.executor_timeout_ms
        reply = self._scripts.call("executors", self._clock(), timeout_ms, limit, offset)
        total, *flat = cast("list[Reply]", reply)
        return ExecutorPage([_executor(*row) for row in read_rows(flat, EXECUTOR_FIELDS)], cast("int", total))


def _executor(executor_id: str, seen_at_ms: str, jobs_completed: str, job_id: str, job_type: str) -> Executor:
    return Executor(executor_id, int(float(seen_at_ms)), int(jobs_completed), job_id or None, job_type or None)
