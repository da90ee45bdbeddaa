"""Drives the queue and its model side by side, with a liking for moves that break queues: late and stale speakers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jobqueue.errors import JobQueueError
from jobqueue.job import Priority, Reason, Status, Stream
from jobqueue.queue.commands import Commands
from jobqueue.queue.connection import Connection
from jobqueue.queue.policy import Policy
from jobqueue.queue.queries import Filter, Queries
from jobqueue.queue.scripts import ROOT, Scripts
from jobqueue.result import Holder, LiveOutput, Piece, Result
from tests.queue.model import Model
from tests.queue.telling import expected, seen, written
from tests.support.attempts import Attempt
from tests.support.bench import new_job
from tests.support.clock import Clock
from tests.support.consistency import judge
from tests.support.contents import contents

T = TypeVar("T")

POLICY = Policy(lease_ms=4_000, executor_timeout_ms=10_000, max_attempts=2, retention_ms=20_000)
JOBS_AT_MOST = 8
UNFINISHED_AT_MOST = 3
TIMES = [
    [1],
    [POLICY.lease_ms // 4],
    [POLICY.lease_ms // 2],
    [POLICY.lease_ms // 2, POLICY.lease_ms // 2],
    [POLICY.lease_ms, 1],
]
EXECUTORS = st.sampled_from(["executor-1", "executor-1", "executor-2"])
RESULTS = st.sampled_from(
    [
        Result(0),
        Result(0, "out"),
        Result(1, "", "err"),
        Result(None, reason=Reason.CANCELLED),
        Result(1, reason=Reason.TIMEOUT),
    ]
)
REASONS = st.sampled_from([None, Reason.WORKER_SHUTDOWN])
A_BYTE = Piece(0, "x")
PIECES = st.sampled_from([Piece(0, ""), Piece(0, "ab"), Piece(1, "bcd"), Piece(6, "gh")])
FINISHES = st.sampled_from([Status.COMPLETED, Status.FAILED])
NUMBERS = st.integers(0, 11)
MOSTLY = st.sampled_from([True, True, True, False])


class Machine(RuleBasedStateMachine):
    """One run of the queue, from an empty store."""

    def __init__(self, connection: Connection, scripts: Scripts) -> None:
        super().__init__()
        connection.client.flushdb()
        self.client = connection.client
        self.clock = Clock()
        self.commands = Commands(scripts, POLICY, self.clock)
        self.queries = Queries(scripts, POLICY, self.clock)
        self.model = Model(POLICY, self.clock.now_ms)
        self.attempts: list[Attempt] = []

    def advance(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds)
        self.model.now_ms = self.clock.now_ms

    def unfinished(self) -> int:
        """Return how many jobs are pending or running."""
        return len(self.model.queue()) + len(self.model.running())

    def live(self) -> list[Attempt]:
        """Return the attempts that hold their jobs."""
        return [attempt for attempt in self.attempts if attempt.holder == self._holders().get(attempt.job_id)]

    def stale(self) -> list[Attempt]:
        """Return the attempts that hold nothing any more: superseded, lost, ended, removed."""
        return [attempt for attempt in self.attempts if attempt.holder != self._holders().get(attempt.job_id)]

    def _holders(self) -> dict[str, Holder | None]:
        return {job.id: job.holder for job in self.model.running()}

    @initialize(stage=st.sampled_from(["pending", "running", "lost", "running again", "completed"]))
    def begin(self, stage: str) -> None:
        self.submit(Priority.BACKGROUND, "demo")
        if stage != "pending":
            self.claim("executor-1")
        if stage in ("lost", "running again"):
            self.time_passes([POLICY.lease_ms // 2] * 2)
        if stage == "running again":
            self.claim("executor-1")
        if stage == "completed":
            self.the_holder_reports(0, Status.COMPLETED, Result(0, "out"), with_token=True)

    @precondition(lambda self: self.unfinished() < UNFINISHED_AT_MOST and len(self.model.jobs) < JOBS_AT_MOST)
    @rule(priority=st.sampled_from(Priority), type=st.sampled_from(["demo", "demo:demo"]))
    def submit(self, priority: Priority, type: str) -> None:
        [job_id] = self.commands.submit([new_job(priority, type)]).job_ids
        self.model.submit(job_id, priority, type)

    @rule(executor_id=EXECUTORS)
    def claim(self, executor_id: str) -> None:
        self.advance(1)
        expected = self.model.next_job(executor_id)
        claimed = self.commands.claim(executor_id, None)
        assert (claimed and claimed.job.id) == (expected and expected.id)
        if claimed and expected:
            holder = Holder(executor_id, claimed.attempt_token)
            self.model.claim(expected, holder)
            assert claimed.attempt == expected.tries
            self.attempts.append(Attempt(expected.id, holder))

    @precondition(lambda self: bool(self.live()))
    @rule(number=NUMBERS, with_token=MOSTLY, piece=PIECES)
    def the_holder_is_heard_from(self, number: int, with_token: bool, piece: Piece) -> None:
        self.advance(1)
        self.heartbeat(pick(self.live(), number), with_token, piece)

    @precondition(lambda self: bool(self.live()))
    @rule(number=NUMBERS, status=FINISHES, result=RESULTS, with_token=MOSTLY)
    def the_holder_reports(self, number: int, status: Status, result: Result, with_token: bool) -> None:
        self.finish(pick(self.live(), number), status, result, with_token)

    @precondition(lambda self: bool(self.live()))
    @rule(number=NUMBERS, reason=REASONS, with_token=MOSTLY)
    def the_holder_gives_back(self, number: int, reason: Reason | None, with_token: bool) -> None:
        self.release(pick(self.live(), number), reason, with_token)

    @precondition(lambda self: bool(self.stale()))
    @rule(number=NUMBERS, with_token=MOSTLY)
    def a_stale_attempt_is_heard_from(self, number: int, with_token: bool) -> None:
        self.advance(1)
        self.heartbeat(pick(self.stale(), number), with_token)

    @precondition(lambda self: bool(self.stale()))
    @rule(number=NUMBERS, status=FINISHES, result=RESULTS, with_token=MOSTLY)
    def a_stale_attempt_reports(self, number: int, status: Status, result: Result, with_token: bool) -> None:
        self.finish(pick(self.stale(), number), status, result, with_token)

    @precondition(lambda self: bool(self.stale()))
    @rule(number=NUMBERS, with_token=MOSTLY)
    def a_stale_attempt_gives_back(self, number: int, with_token: bool) -> None:
        self.release(pick(self.stale(), number), None, with_token)

    @precondition(lambda self: bool(self.model.with_result()))
    @rule(number=NUMBERS, change=st.sampled_from(["nothing", "token", "result", "status"]))
    def a_result_is_sent_again(self, number: int, change: str) -> None:
        job = pick(self.model.with_result(), number)
        assert job.holder is not None
        assert job.result is not None
        holder = Holder(job.holder.executor_id, "made up") if change == "token" else job.holder
        result = replace(job.result, stdout="another") if change == "result" else job.result
        same, other = Status.FAILED, Status.COMPLETED
        if job.status is Status.COMPLETED:
            same, other = other, same
        self.finish(Attempt(job.id, holder), other if change == "status" else same, result, with_token=True)

    @precondition(lambda self: bool(self.model.jobs))
    @rule(number=NUMBERS, token=st.sampled_from(["", "made up"]), executor_id=EXECUTORS)
    def somebody_makes_up_a_token(self, number: int, token: str, executor_id: str) -> None:
        job = pick(self.model.running() or list(self.model.jobs.values()), number)
        stranger = Attempt(job.id, Holder(executor_id, token))
        self.heartbeat(stranger, with_token=True)
        self.finish(stranger, Status.FAILED, Result(None), with_token=True)
        self.release(stranger, None, with_token=True)

    @precondition(lambda self: bool(self.model.jobs))
    @rule(number=NUMBERS, force=st.booleans())
    def cancel(self, number: int, force: bool) -> None:
        job_id = pick(list(self.model.jobs.values()), number).id
        assert answer_of(lambda: self.commands.cancel(job_id, force)) == self.model.cancel(job_id, force)

    @precondition(lambda self: bool(self.live()))
    @rule(number=NUMBERS)
    def somebody_wants_it_stopped(self, number: int) -> None:
        job_id = pick(self.live(), number).job_id
        assert answer_of(lambda: self.commands.cancel(job_id, force=True)) == self.model.cancel(job_id, force=True)

    @rule(steps=st.sampled_from(TIMES))
    def time_passes(self, steps: list[int]) -> None:
        """Let time pass, with a sweep after each step."""
        for milliseconds in steps:
            self.advance(milliseconds)
            assert self.commands.sweep() == self.model.sweep()

    @precondition(lambda self: self.unfinished() < len(self.model.jobs))
    @rule()
    def all_that_ended_grows_old(self) -> None:
        self.time_passes([POLICY.retention_ms])

    @precondition(lambda self: bool(self.live()))
    @rule(milliseconds=st.sampled_from([POLICY.lease_ms // 2 + 1, POLICY.lease_ms * 2]))
    def nobody_sweeps_for_a_while(self, milliseconds: int) -> None:
        self.advance(milliseconds)

    def heartbeat(self, attempt: Attempt, with_token: bool, piece: Piece = A_BYTE) -> None:
        holder = attempt.holder if with_token else attempt.without_token
        answer = answer_of(lambda: self.commands.heartbeat(attempt.job_id, holder, LiveOutput(piece)))
        assert answer == self.model.heartbeat(attempt.job_id, holder, piece)

    def release(self, attempt: Attempt, reason: Reason | None, with_token: bool) -> None:
        holder = attempt.holder if with_token else attempt.without_token
        answer = answer_of(lambda: self.commands.release(attempt.job_id, holder, reason))
        assert answer == self.model.release(attempt.job_id, holder, reason)

    def finish(self, attempt: Attempt, status: Status, result: Result, with_token: bool) -> None:
        holder = attempt.holder if with_token else attempt.without_token
        if status is Status.COMPLETED:
            result = replace(result, exit_code=result.exit_code or 0)  # the API asks for one
        verb = self.commands.complete if status is Status.COMPLETED else self.commands.fail
        answer = answer_of(lambda: verb(attempt.job_id, holder, result))
        assert answer == self.model.finish(status, attempt.job_id, holder, result)

    @invariant()
    def the_queue_is_what_the_model_says(self) -> None:
        found = contents(self.client)
        assert judge(found) == []
        for job in self.model.jobs.values():
            assert seen(self.queries.get(job.id)) == expected(job)
            part = self.queries.output(job.id, Stream.STDOUT, 0).part
            assert (part.offset, part.data) == written(job)
        newest_first = sorted(self.model.jobs.values(), key=lambda job: -job.place)
        assert [job.id for job in self.queries.list(Filter(), JOBS_AT_MOST, 0).jobs] == [job.id for job in newest_first]
        queues = [found.sorted_sets.get(f"{ROOT}:jobs:pending:{priority}", {}) for priority in Priority]
        assert [job_id for queue in queues for job_id in queue] == [job.id for job in self.model.queue()]
        deadlines = found.sorted_sets.get(f"{ROOT}:deadlines", {})
        assert deadlines == {job.id: job.deadline_ms for job in self.model.running()}
        executors = self.queries.executors()
        assert self.model.active() == {
            executor.executor_id: (executor.last_heartbeat_ms, executor.jobs_completed, executor.current_job_id)
            for executor in executors
        }


def pick(choices: Sequence[T], number: int) -> T:
    """Return one of the choices by any number; the newest, which are last, are the small numbers'."""
    return choices[-1 - number % len(choices)]


def answer_of(call: Callable[[], object]) -> object:
    """Return what a call returns, or the class of the refusal."""
    try:
        return call()
    except JobQueueError as error:
        return type(error)
