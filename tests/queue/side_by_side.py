"""The queue and its model, driven side by side: every operation is done on both, and the answers must agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import redis

from jobqueue.errors import JobQueueError
from jobqueue.job import Priority, Reason, Status, Stream
from jobqueue.queue.claims import Beat, ClaimRequest, Claims
from jobqueue.queue.commands import Commands
from jobqueue.queue.policy import Policy
from jobqueue.queue.queries import Filter, Queries
from jobqueue.queue.records.claimed import ClaimedJobs
from jobqueue.queue.records.reports import Finished, Report, Verb
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
    """An empty queue and an empty model of it, with one clock. `store` is an administrator's client."""

    def __init__(self, store: redis.Redis, scripts: Scripts, policy: Policy) -> None:
        store.flushdb()
        self.store = store
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

    def claim(self, request: ClaimRequest) -> None:
        """Claim jobs, or repeat a claim."""
        self.advance(1)
        self._check_claim(request, self.claims.claim_many(request))

    def _check_claim(self, request: ClaimRequest, claimed: ClaimedJobs) -> None:
        holders = [Holder(request.executor_id, each.attempt_token) for each in claimed.jobs]
        due = self.model.repeat_claim(request.executor_id, request.claim_id)
        assert claimed.replayed == (due is not None)
        if due is None:
            due = self.model.next_jobs(request.executor_id, request.types)[: request.max_jobs]
        assert [each.job.id for each in claimed.jobs] == [job.id for job in due]
        if due and not claimed.replayed:
            self.model.claim(request.claim_id, due, holders)
            self.attempts += [Attempt(job.id, holder) for job, holder in zip(due, holders, strict=True)]
        assert [job.holder for job in due] == holders
        assert [each.attempt for each in claimed.jobs] == [job.attempt_count for job in due]

    def heartbeat(self, attempt: Attempt, with_token: bool, piece: Piece = ONE_BYTE) -> None:
        """Send a heartbeat with some output."""
        holder = attempt.holder if with_token else attempt.without_token
        answer = answer_of(lambda: self.claims.heartbeat(attempt.job_id, holder, LiveOutput(piece)))
        assert answer == self.model.heartbeat(attempt.job_id, holder, piece)

    def heartbeat_many(self, executor_id: str, attempts: Sequence[Attempt], piece: Piece) -> None:
        """Send a heartbeat that names these jobs, whoever holds them."""
        beats = [Beat(attempt.job_id, attempt.holder.attempt_token, LiveOutput(piece)) for attempt in attempts]
        answers = self.claims.heartbeat_many(executor_id, beats)
        assert [type(answer) if isinstance(answer, JobQueueError) else answer for answer in answers] == [
            self.model.heartbeat(attempt.job_id, Holder(executor_id, attempt.holder.attempt_token), piece)
            for attempt in attempts
        ]
        self.model.take_back(executor_id)

    def finish_many(
        self, executor_id: str, reports: Sequence[tuple[Verb, Attempt, Result]], request: ClaimRequest | None
    ) -> None:
        """Report about these jobs, whoever holds them, and claim."""
        self.advance(1)
        sent = [
            Report(verb, attempt.job_id, replace(attempt.holder, executor_id=executor_id), result)
            for verb, attempt, result in reports
        ]
        finished = self.claims.finish_many(sent, request)
        assert [type(each) if isinstance(each, JobQueueError) else each for each in finished.results] == [
            self._model_of(report) for report in sent
        ]
        assert (finished.claimed is None) == (request is None)
        if request and finished.claimed:
            self._check_claim(request, finished.claimed)

    def _model_of(self, report: Report) -> object:
        job = report.job_id, report.holder
        if report.verb is Verb.RELEASE:
            answer = self.model.release(*job, report.result.reason, report.result.error_message)
            return Finished(answer, False) if isinstance(answer, Status) else answer
        status = Status.COMPLETED if report.verb is Verb.COMPLETE else Status.FAILED
        return self.model.finish(status, *job, report.result)

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
        stored = contents(self.store)
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
        for executor_id in {attempt.holder.executor_id for attempt in self.attempts}:
            unreceived = {job.id: job.unreceived_ms for job in self.model.held(executor_id) if job.unreceived_ms}
            assert stored.sorted_sets.get(f"{ROOT}:unreceived:{executor_id}", {}) == unreceived
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
