"""The queue and its model, driven side by side: every operation is done on both, and the answers must agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jobqueue.errors import JobQueueError
from jobqueue.job import Priority, Reason, Status, Stream
from jobqueue.queue.claims import Claims
from jobqueue.queue.commands import Commands
from jobqueue.queue.connection import Connection
from jobqueue.queue.policy import Policy
from jobqueue.queue.queries import Filter, Queries
from jobqueue.queue.scripts import ROOT, Scripts
from jobqueue.result import Holder, LiveOutput, Piece, Result
from tests.queue.comparison import actual, expected, expected_output
from tests.queue.model import Model
from tests.support.attempts import Attempt
from tests.support.bench import new_job
from tests.support.clock import Clock
from tests.support.consistency import judge
from tests.support.contents import contents

ONE_BYTE = Piece(0, "x")


class SideBySide:
    """An empty queue and an empty model of it, with one clock."""

    def __init__(self, connection: Connection, scripts: Scripts, policy: Policy) -> None:
        connection.client.flushdb()
        self.client = connection.client
        self.clock = Clock()
        self.commands = Commands(scripts, policy, self.clock)
        self.claims = Claims(scripts, policy, self.clock)
        self.queries = Queries(scripts, policy, self.clock)
        self.model = Model(policy, self.clock.now_ms)
        self.attempts: list[Attempt] = []

    def advance(self, milliseconds: int) -> None:
        """Let time pass for both."""
        self.clock.advance(milliseconds)
        self.model.now_ms = self.clock.now_ms

    def unfinished(self) -> int:
        """Return how many jobs are pending or running."""
        return len(self.model.queue()) + len(self.model.delayed()) + len(self.model.running())

    def holding(self) -> list[Attempt]:
        """Return the attempts that hold their jobs."""
        return [attempt for attempt in self.attempts if attempt.holder == self._holders().get(attempt.job_id)]

    def stale(self) -> list[Attempt]:
        """Return the attempts that no longer hold their jobs, because they were released, lost, ended or removed."""
        return [attempt for attempt in self.attempts if attempt.holder != self._holders().get(attempt.job_id)]

    def _holders(self) -> dict[str, Holder | None]:
        return {job.id: job.holder for job in self.model.running()}

    def submit(self, priority: Priority, type: str) -> None:
        """Submit a job."""
        [job_id] = self.commands.submit([new_job(priority, type)]).job_ids
        self.model.submit(job_id, priority, type)

    def claim(self, executor_id: str) -> None:
        """Claim a job, if one is pending."""
        self.advance(1)
        due = self.model.next_job(executor_id)
        claimed = self.claims.claim(executor_id, None)
        assert (claimed and claimed.job.id) == (due and due.id)
        if claimed and due:
            holder = Holder(executor_id, claimed.attempt_token)
            self.model.claim(due, holder)
            assert claimed.attempt == due.attempt_count
            self.attempts.append(Attempt(due.id, holder))

    def heartbeat(self, attempt: Attempt, with_token: bool, piece: Piece = ONE_BYTE) -> None:
        """Send a heartbeat with some output."""
        holder = attempt.holder if with_token else attempt.without_token
        answer = answer_of(lambda: self.claims.heartbeat(attempt.job_id, holder, LiveOutput(piece)))
        assert answer == self.model.heartbeat(attempt.job_id, holder, piece)

    def release(self, attempt: Attempt, reason: Reason | None, with_token: bool) -> None:
        """Release a job, with a message if there is a reason."""
        holder = attempt.holder if with_token else attempt.without_token
        message = "no space left" if reason else ""
        answer = answer_of(lambda: self.claims.release(attempt.job_id, holder, reason, message))
        assert answer == self.model.release(attempt.job_id, holder, reason, message)

    def finish(self, attempt: Attempt, status: Status, result: Result, with_token: bool) -> None:
        """Complete or fail a job."""
        holder = attempt.holder if with_token else attempt.without_token
        if status is Status.COMPLETED:
            result = replace(result, exit_code=result.exit_code or 0)  # the API requires one
        verb = self.claims.complete if status is Status.COMPLETED else self.claims.fail
        answer = answer_of(lambda: verb(attempt.job_id, holder, result))
        assert answer == self.model.finish(status, attempt.job_id, holder, result)

    def cancel(self, job_id: str, force: bool) -> None:
        """Cancel a job."""
        assert answer_of(lambda: self.commands.cancel(job_id, force)) == self.model.cancel(job_id, force)

    def pass_time(self, steps: list[int]) -> None:
        """Let time pass in these steps of milliseconds, with a sweep after each."""
        for milliseconds in steps:
            self.advance(milliseconds)
            assert self.commands.sweep() == self.model.sweep()

    def compare(self) -> None:
        """Compare everything that the queue returns and stores with the model."""
        stored = contents(self.client)
        assert judge(stored) == []
        for job in self.model.jobs.values():
            assert actual(self.queries.get(job.id)) == expected(job)
            part = self.queries.output(job.id, Stream.STDOUT, 0).part
            assert (part.offset, part.data) == expected_output(job)
        newest_first = sorted(self.model.jobs.values(), key=lambda job: -job.sequence)
        page = self.queries.list(Filter(), max(len(newest_first), 1), 0)
        assert [job.id for job in page.jobs] == [job.id for job in newest_first]
        queues = [stored.sorted_sets.get(f"{ROOT}:jobs:pending:{priority}", {}) for priority in Priority]
        assert [job_id for queue in queues for job_id in queue] == [job.id for job in self.model.queue()]
        due = {job.id: job.not_before_ms for job in self.model.delayed()}
        assert stored.sorted_sets.get(f"{ROOT}:due", {}) == due
        deadlines = stored.sorted_sets.get(f"{ROOT}:deadlines", {})
        assert deadlines == {job.id: job.deadline_ms for job in self.model.running()}
        assert self.model.active() == {
            executor.executor_id: (executor.last_heartbeat_ms, executor.jobs_completed, executor.current_job_id)
            for executor in self.queries.executors(1000, 0).executors
        }


def answer_of(call: Callable[[], object]) -> object:
    """Return what a call returns, or the class of the refusal that it raises."""
    try:
        return call()
    except JobQueueError as error:
        return type(error)
