"""Makes the moves of a queue at random, above all those that break queues: late and stale reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import redis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jobqueue.job import Priority, Reason, Status
from jobqueue.queue.claims import ClaimRequest
from jobqueue.queue.policy import Policy
from jobqueue.queue.records.reports import Verb
from jobqueue.queue.scripts import Scripts
from jobqueue.result import Holder, Piece, Result
from tests.queue.model import DELAYS_MS
from tests.queue.side_by_side import SideBySide
from tests.support.attempts import Attempt

T = TypeVar("T")

POLICY = Policy(lease_ms=12_000, executor_timeout_ms=30_000, max_attempts=2, retention_ms=60_000, max_host_faults=2)
MAX_JOBS = 8
MAX_UNFINISHED = 3
TIMES = [
    [1],
    [POLICY.lease_ms // 4],
    [POLICY.lease_ms // 2],
    [POLICY.lease_ms // 2, POLICY.lease_ms // 2],
    [POLICY.lease_ms, 1],
    [DELAYS_MS[0]],
    [POLICY.lease_ms // 2, DELAYS_MS[0]],
]
BEGINNINGS: Sequence[Sequence[str]] = [
    [],
    ["claim"],
    ["claim", "lose"],
    ["claim", "lose", "claim"],
    ["claim", "complete"],
    ["claim", "complete", "forge"],
    ["claim", "complete", "retire"],
    ["claim by name", "wait", "claim by name"],
    ["claim", "cancel"],
    ["claim", "cancel", "lose"],
    ["claim", "cancel", "complete"],
    ["claim", "release"],
    ["claim", "release", "wait", "claim"],
    ["claim", "release", "ask", "wait", "claim"],
    ["claim", "miss"],
    ["claim", "miss", "claim"],
    ["claim", "cancel", "miss"],
]
"""What happens to the first job before the random moves. Chance alone seldom gets that far."""

STORIES: Sequence[Sequence[str]] = [
    *BEGINNINGS,
    ["claim", "write", "write more"],
    ["claim", "lose", "claim", "lose"],
    ["claim", "cancel", "fail"],
    ["claim", "release", "become due"],
    ["claim", "miss for a moment"],
    ["claim by name", "pause", "claim by name", "pause", "claim by name"],
]
"""What is tried in every run, so that it is found however the random moves fall."""

EXECUTORS = st.sampled_from(["executor-1", "executor-1", "executor-2"])
LONG = "out" * 200
"""An output that has a key of its own."""

TIMED_OUT = Result(1, reason=Reason.TIMEOUT)
RESULTS = st.sampled_from(
    [
        Result(0),
        Result(0, "out"),
        Result(1, "", "err"),
        Result(None, reason=Reason.CANCELLED),
        TIMED_OUT,
    ]
)
REASONS = st.sampled_from([None, Reason.WORKER_SHUTDOWN, Reason.HOST_FAULT, Reason.DOWNLOAD_FAILED])
PIECES = st.sampled_from([Piece(0, ""), Piece(0, "ab"), Piece(1, "bcd"), Piece(6, "gh")])
FINISHES = st.sampled_from([Status.COMPLETED, Status.FAILED])
NUMBERS = st.integers(0, 11)
VERBS = st.sampled_from(Verb)
REPORTED = {
    Verb.COMPLETE: Result(0, "out"),
    Verb.FAIL: Result(1, "", "err"),
    Verb.RELEASE: Result(None, reason=Reason.HOST_FAULT, error_message="no space left"),
}
CLAIMS = st.builds(
    ClaimRequest,
    EXECUTORS,
    max_jobs=st.sampled_from([1, 1, 2, 3]),
    claim_id=st.sampled_from(["", "", "a", "b"]),
    types=st.sampled_from([(), (), ("demo",), ("demo:demo", "demo"), ("other", "demo:demo")]),
)
MOSTLY = st.sampled_from([True, True, True, False])


class Machine(RuleBasedStateMachine):
    """One run of the queue, from an empty store."""

    def __init__(self, store: redis.Redis, scripts: Scripts) -> None:
        super().__init__()
        self.both = SideBySide(store, scripts, POLICY)
        self.model = self.both.model

    @initialize(stages=st.sampled_from(BEGINNINGS))
    def begin(self, stages: Sequence[str]) -> None:
        both = self.both
        steps: dict[str, Callable[[], object]] = {
            "claim": lambda: both.claim(ClaimRequest("executor-1")),
            "claim by name": lambda: both.claim(ClaimRequest("executor-1", claim_id="a")),
            "ask": lambda: both.claim(ClaimRequest("executor-2")),
            "write": lambda: both.heartbeat(both.holding()[0], with_token=True, piece=Piece(0, "ab")),
            "write more": lambda: both.heartbeat(both.holding()[0], with_token=True, piece=Piece(0, "abcd")),
            "cancel": lambda: both.cancel(both.holding()[0].job_id, force=True),
            "lose": lambda: both.pass_time([POLICY.lease_ms // 2] * 2),
            "miss": lambda: self._miss([POLICY.lease_ms // 2, DELAYS_MS[0]]),
            "miss for a moment": lambda: self._miss([POLICY.lease_ms // 2]),
            "release": lambda: both.release(both.holding()[0], Reason.HOST_FAULT, with_token=True),
            "wait": lambda: both.advance(DELAYS_MS[0]),
            "become due": lambda: both.pass_time([DELAYS_MS[0]]),
            "pause": lambda: both.advance(POLICY.lease_ms),
            "complete": lambda: both.finish(both.holding()[0], Status.COMPLETED, Result(0, LONG), with_token=True),
            "fail": lambda: both.finish(both.holding()[0], Status.FAILED, TIMED_OUT, with_token=True),
            "forge": self._forge,
            "retire": lambda: both.pass_time([POLICY.retention_ms]),
        }
        both.submit(Priority.BACKGROUND, "demo")
        for stage in stages:
            steps[stage]()

    def _forge(self) -> None:
        forged = Attempt(self.both.attempts[0].job_id, Holder("executor-1", "made up"))
        self.both.finish(forged, Status.COMPLETED, Result(0, LONG), with_token=True)

    def _miss(self, steps: list[int]) -> None:
        self.both.pass_time(steps)
        self.both.heartbeat_many("executor-1", [], Piece(0, ""))

    @precondition(lambda self: self.both.unfinished() < MAX_UNFINISHED and len(self.model.jobs) < MAX_JOBS)
    @rule(priority=st.sampled_from(Priority), type=st.sampled_from(["demo", "demo:demo"]))
    def submit(self, priority: Priority, type: str) -> None:
        self.both.submit(priority, type)

    @rule(request=CLAIMS)
    def claim(self, request: ClaimRequest) -> None:
        self.both.claim(request)

    @precondition(lambda self: bool(self.both.holding()))
    @rule(number=NUMBERS, with_token=MOSTLY, piece=PIECES)
    def the_holder_sends_a_heartbeat(self, number: int, with_token: bool, piece: Piece) -> None:
        self.both.advance(1)
        self.both.heartbeat(pick(self.both.holding(), number), with_token, piece)

    @rule(executor_id=EXECUTORS, numbers=st.sets(NUMBERS, max_size=3), piece=PIECES)
    def an_executor_sends_one_heartbeat_for_some_jobs(self, executor_id: str, numbers: set[int], piece: Piece) -> None:
        self.both.advance(1)
        self.both.heartbeat_many(executor_id, some(self.both.attempts, numbers), piece)

    @precondition(lambda self: bool(self.both.attempts))
    @rule(executor_id=EXECUTORS, numbers=st.sets(NUMBERS, max_size=3), verb=VERBS, request=st.none() | CLAIMS)
    def an_executor_reports_about_some_jobs(
        self, executor_id: str, numbers: set[int], verb: Verb, request: ClaimRequest | None
    ) -> None:
        reports = [(verb, attempt, REPORTED[verb]) for attempt in some(self.both.attempts, numbers)]
        last = self.both.attempts[-1]
        self.both.finish_many(executor_id, [*reports, (Verb.COMPLETE, last, REPORTED[Verb.COMPLETE])], request)

    @precondition(lambda self: bool(self.both.holding()))
    @rule(number=NUMBERS, status=FINISHES, result=RESULTS, with_token=MOSTLY)
    def the_holder_reports(self, number: int, status: Status, result: Result, with_token: bool) -> None:
        self.both.finish(pick(self.both.holding(), number), status, result, with_token)

    @precondition(lambda self: bool(self.both.holding()))
    @rule(number=NUMBERS, reason=REASONS, with_token=MOSTLY)
    def the_holder_releases(self, number: int, reason: Reason | None, with_token: bool) -> None:
        self.both.release(pick(self.both.holding(), number), reason, with_token)

    @precondition(lambda self: bool(self.both.stale()))
    @rule(number=NUMBERS, with_token=MOSTLY)
    def a_stale_attempt_sends_a_heartbeat(self, number: int, with_token: bool) -> None:
        self.both.advance(1)
        self.both.heartbeat(pick(self.both.stale(), number), with_token)

    @precondition(lambda self: bool(self.both.stale()))
    @rule(number=NUMBERS, status=FINISHES, result=RESULTS, with_token=MOSTLY)
    def a_stale_attempt_reports(self, number: int, status: Status, result: Result, with_token: bool) -> None:
        self.both.finish(pick(self.both.stale(), number), status, result, with_token)

    @precondition(lambda self: bool(self.both.stale()))
    @rule(number=NUMBERS, with_token=MOSTLY)
    def a_stale_attempt_releases(self, number: int, with_token: bool) -> None:
        self.both.release(pick(self.both.stale(), number), None, with_token)

    @precondition(lambda self: bool(self.model.with_result()))
    @rule(number=NUMBERS, change=st.sampled_from(["nothing", "token", "result", "reason", "status"]))
    def a_report_is_replayed(self, number: int, change: str) -> None:
        job = pick(self.model.with_result(), number)
        assert job.holder is not None
        assert job.result is not None
        holder = Holder(job.holder.executor_id, "made up") if change == "token" else job.holder
        changes: dict[str, dict[str, Any]] = {"result": {"stdout": "another"}, "reason": {"reason": Reason.OOM_KILLED}}
        result = replace(job.result, **changes.get(change, {}))
        same, other = Status.FAILED, Status.COMPLETED
        if job.status is Status.COMPLETED:
            same, other = other, same
        self.both.finish(Attempt(job.id, holder), other if change == "status" else same, result, with_token=True)

    @precondition(lambda self: bool(self.model.jobs))
    @rule(number=NUMBERS, token=st.sampled_from(["", "made up"]), executor_id=EXECUTORS)
    def a_non_holder_makes_up_a_token(self, number: int, token: str, executor_id: str) -> None:
        job = pick(self.model.running() or list(self.model.jobs.values()), number)
        non_holder = Attempt(job.id, Holder(executor_id, token))
        self.both.heartbeat(non_holder, with_token=True)
        self.both.finish(non_holder, Status.FAILED, Result(None), with_token=True)
        self.both.release(non_holder, None, with_token=True)

    @precondition(lambda self: bool(self.model.jobs))
    @rule(number=NUMBERS, force=st.booleans())
    def cancel(self, number: int, force: bool) -> None:
        self.both.cancel(pick(list(self.model.jobs.values()), number).id, force)

    @precondition(lambda self: bool(self.both.holding()))
    @rule(number=NUMBERS)
    def a_running_job_is_cancelled(self, number: int) -> None:
        self.both.cancel(pick(self.both.holding(), number).job_id, force=True)

    @rule(steps=st.sampled_from(TIMES))
    def time_passes(self, steps: list[int]) -> None:
        self.both.pass_time(steps)

    @precondition(lambda self: self.both.unfinished() < len(self.model.jobs))
    @rule()
    def the_retention_of_ended_jobs_ends(self) -> None:
        self.both.pass_time([POLICY.retention_ms])

    @precondition(lambda self: bool(self.both.holding()))
    @rule(milliseconds=st.sampled_from([POLICY.lease_ms // 2 + 1, POLICY.lease_ms * 2]))
    def nobody_sweeps_for_a_while(self, milliseconds: int) -> None:
        self.both.advance(milliseconds)

    @invariant()
    def the_queue_agrees_with_its_model(self) -> None:
        self.both.compare()


def some(choices: Sequence[T], numbers: set[int]) -> list[T]:
    """Return one of the choices for each number, none if there are no choices."""
    return [pick(choices, number) for number in sorted(numbers)] if choices else []


def pick(choices: Sequence[T], number: int) -> T:
    """Return one of the choices by any number. Small numbers stand for the newest, which are last."""
    return choices[-1 - number % len(choices)]
