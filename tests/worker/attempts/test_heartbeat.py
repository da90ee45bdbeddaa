"""A lease is renewed while the API answers, and given up before another executor may have the job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain, cycle, pairwise, repeat

import pytest

from jobqueue.client.batches import Batches
from jobqueue.client.claimed_job import ClaimedJob
from jobqueue.worker.attempts.attempt import Attempt, Cause, StopPolicy
from jobqueue.worker.attempts.heartbeat import Heartbeats
from jobqueue.worker.attempts.lease import SAFE_FRACTION
from jobqueue.worker.slots.slot import Slot
from tests.support.fake_api import AWAY, CANCEL, FORBIDDEN, REFUSED, UNKNOWN_TOKEN, YES, FakeApi
from tests.support.fake_server import Reply, Request, in_json
from tests.support.waiting import wait_until

UNCLEAR = [AWAY, in_json({"error": "no", "context": {}}, 400), Reply(302), Reply(429), UNKNOWN_TOKEN, FORBIDDEN]

Renewing = Callable[..., AbstractContextManager[Attempt]]


@pytest.fixture
def renewing(connect: Callable[[], Batches], slot: Slot) -> Renewing:
    """Renews a lease of that many milliseconds."""

    @contextmanager
    def renewing(lease_ms: int, may_outlive_lease: bool = False) -> Iterator[Attempt]:
        job = ClaimedJob("job-1", "http://host/program", "ab" * 32, [], {}, "token-1", lease_ms)
        attempt = Attempt(job, slot)
        heartbeats = Heartbeats(connect(), StopPolicy(may_outlive_lease, kill_grace_seconds=1))
        heartbeats.start()
        heartbeats.add(attempt)
        try:
            yield attempt
        finally:
            heartbeats.close()
        wait_until("the thread ends", lambda: not heartbeats.running, 10)

    return renewing


def lost_after(attempt: Attempt, begun: float) -> float:
    """Wait for the loss of a lease; return how many seconds after `begun` it came."""
    assert attempt.stopped.wait(10)
    assert attempt.cause is Cause.LEASE_LOST
    return time.monotonic() - begun


def replies(*first: Reply, then: Reply) -> Callable[[Request], Reply]:
    """Answer with each of the first, then always the same."""
    answers = chain(first, repeat(then))
    return lambda _: next(answers)


def outputs_sent(api: FakeApi) -> list[object]:
    return [request.json["output"] for request in api.seen("heartbeat") if "output" in request.json]


def test_heartbeats_are_sent_in_the_name_of_the_attempt_and_not_in_step(api: FakeApi, renewing: Renewing) -> None:
    with renewing(600, may_outlive_lease=True):  # so that it goes on where the machine is busy for a whole lease
        wait_until("some heartbeats", lambda: len(api.seen("heartbeat")) >= 5)
    pauses = sorted(later.at - earlier.at for earlier, later in pairwise(api.seen("heartbeat")))
    assert 0.17 < pauses[len(pauses) // 2] < 0.6
    assert pauses[-1] - pauses[0] > 0.001
    assert api.seen("heartbeat")[0].json == {"executor_id": "executor-1", "attempt_token": "token-1"}


def test_a_lease_is_lost_when_the_api_says_so(api: FakeApi, renewing: Renewing) -> None:
    api.answers["heartbeat"] = replies(YES, then=REFUSED)
    with renewing(3000) as attempt:
        assert attempt.stopped.wait(10)
        threading.Event().wait(1.2)  # longer than until the next would be due
    assert attempt.cause is Cause.LEASE_LOST
    assert len(api.seen("heartbeat")) == 2


def test_a_lease_that_ends_with_the_report_is_not_lost(api: FakeApi, renewing: Renewing) -> None:
    """The API has stored the result, and its answer is on its way while it is asked about the lease."""
    api.answers["heartbeat"] = lambda _: REFUSED
    with renewing(900) as attempt:
        attempt.is_reported = True
        wait_until("it is asked about the lease", lambda: bool(api.seen("heartbeat")))
        threading.Event().wait(0.4)  # longer than until the next would be due
    assert attempt.cause is None
    assert len(api.seen("heartbeat")) == 1


LEASE_SECONDS = 2.5
"""Long enough that a busy machine does not use up the fifth of it that remains when it counts as lost."""


@pytest.mark.parametrize("fault", ["unclear", "hanging", "down", "dripping"])
def test_a_lease_that_nobody_renews_is_lost_at_the_end_of_its_safe_part(
    api: FakeApi, renewing: Renewing, fault: str
) -> None:
    answers = cycle(UNCLEAR)
    if fault == "down":
        api.server.close()
    elif fault == "unclear":
        api.answers["heartbeat"] = lambda _: next(answers)
    elif fault == "hanging":
        api.answers["heartbeat"] = lambda _: api.server.hang()
    else:
        api.answers["heartbeat"] = lambda _: Reply(pieces=api.server.drip(1000, 0.02), length=1000)
    begun = time.monotonic()
    with renewing(int(LEASE_SECONDS * 1000)) as attempt:
        assert SAFE_FRACTION * LEASE_SECONDS - 0.01 <= lost_after(attempt, begun) < LEASE_SECONDS
    if fault == "unclear":
        assert len(api.seen("heartbeat")) >= len(UNCLEAR)


def test_a_short_outage_costs_no_lease(api: FakeApi, renewing: Renewing) -> None:
    api.answers["heartbeat"] = replies(AWAY, UNKNOWN_TOKEN, FORBIDDEN, then=YES)
    with renewing(3600) as attempt:
        wait_until("heartbeats are answered again", lambda: len(api.seen("heartbeat")) >= 5)
        assert attempt.cause is None


def test_a_lease_counts_from_when_the_last_answered_heartbeat_was_sent(api: FakeApi, renewing: Renewing) -> None:
    """Were it counted from the answer, a slow answer would let two executors run the job at once."""

    def answer_late(_: Request) -> Reply:
        api.server.closed.wait(0.3)  # of the 0.5 s after which it would be sent again
        return YES

    api.answers["heartbeat"] = answer_late
    with renewing(3000) as attempt:
        first = attempt.lease_end
        assert first is not None
        wait_until("the lease is renewed", lambda: attempt.lease_end != first)
        renewed = attempt.lease_end
    assert renewed is not None
    assert renewed.terminate_at - SAFE_FRACTION * 3 <= api.seen("heartbeat")[0].at


def test_a_program_that_may_outlive_its_lease_is_stopped_only_when_the_api_says_that_it_is_lost(
    api: FakeApi, renewing: Renewing
) -> None:
    api.answers["heartbeat"] = lambda _: AWAY
    with renewing(300, may_outlive_lease=True) as attempt:
        wait_until("heartbeats beyond the lease", lambda: len(api.seen("heartbeat")) >= 10)
        assert attempt.cause is None
        api.answers["heartbeat"] = lambda _: REFUSED
        assert attempt.stopped.wait(10)
    assert attempt.cause is Cause.LEASE_LOST


def test_a_cancel_request_stops_the_attempt_and_its_lease_is_kept(api: FakeApi, renewing: Renewing) -> None:
    api.answers["heartbeat"] = replies(YES, then=CANCEL)
    with renewing(3000) as attempt:
        assert attempt.stopped.wait(10)
        assert attempt.cause is Cause.CANCELLED
        wait_until("heartbeats go on", lambda: len(api.seen("heartbeat")) >= 3)
    assert attempt.cause is Cause.CANCELLED


def test_new_output_makes_a_heartbeat_come_sooner(api: FakeApi, renewing: Renewing) -> None:
    with renewing(600_000) as attempt:
        attempt.live_output.add({"stdout": [0, "one\n"]})
        wait_until("the output is sent", lambda: bool(outputs_sent(api)), 4.5)  # it would be 4.5 s at the earliest


def test_output_is_sent_once(api: FakeApi, renewing: Renewing) -> None:
    # A heartbeat that takes longer than a third of the lease is sent again.
    with renewing(3000, may_outlive_lease=True) as attempt:
        attempt.live_output.add({"stdout": [0, "one\n"]})
        wait_until("the output is sent", lambda: bool(outputs_sent(api)))
        wait_until("it was answered", lambda: not attempt.live_output.pending)
        attempt.live_output.add({"stdout": [4, "two\n"], "stderr": [0, "err"]})
        wait_until("the rest is sent", lambda: len(outputs_sent(api)) == 2)
        count = len(api.seen("heartbeat"))
        wait_until("another heartbeat", lambda: len(api.seen("heartbeat")) > count)
    assert outputs_sent(api) == [
        {"stdout": {"offset": 0, "data": "one\n"}},
        {"stdout": {"offset": 4, "data": "two\n"}, "stderr": {"offset": 0, "data": "err"}},
    ]


def test_output_that_was_not_answered_for_is_sent_again(api: FakeApi, renewing: Renewing) -> None:
    api.answers["heartbeat"] = replies(AWAY, then=YES)
    with renewing(3000, may_outlive_lease=True) as attempt:
        attempt.live_output.add({"stdout": [0, "one\n"]})
        wait_until("the output is sent twice", lambda: len(outputs_sent(api)) == 2)
    assert outputs_sent(api) == [{"stdout": {"offset": 0, "data": "one\n"}}] * 2


def test_heartbeats_end_when_they_are_stopped(api: FakeApi, renewing: Renewing) -> None:
    with renewing(60_000):
        pass
    assert api.seen("heartbeat") == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_answer_that_cannot_be_parsed_is_at_worst_a_lost_lease(api: FakeApi, renewing: Renewing) -> None:
    api.answers["heartbeat"] = lambda _: Reply(400, b"[" * 200_000)
    with renewing(600) as attempt:
        assert attempt.stopped.wait(20)


def test_a_job_with_a_short_lease_is_renewed_in_time_beside_others(
    api: FakeApi, connect: Callable[[], Batches], slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep, wait = threading.Event(), threading.Condition.wait

    def noted_wait(condition: threading.Condition, timeout: float | None = None) -> bool:
        if threading.current_thread().name == "heartbeat" and timeout is not None:
            asleep.set()
        return wait(condition, timeout)

    monkeypatch.setattr(threading.Condition, "wait", noted_wait)
    heartbeats = Heartbeats(connect(), StopPolicy(may_outlive_lease=True, kill_grace_seconds=1))
    heartbeats.start()
    for number, lease_ms in ((1, 600_000), (2, 900)):
        job = ClaimedJob(f"job-{number}", "http://host/program", "ab" * 32, [], {}, f"token-{number}", lease_ms)
        heartbeats.add(Attempt(job, slot))
        assert asleep.wait(20)  # the thread sleeps until the long lease needs it, and the short one has to wake it
    wait_until("it is renewed", lambda: bool(api.seen("heartbeat")), 4)
    heartbeats.close()
    assert {request.path for request in api.seen("heartbeat")[:2]} == {"/jobs/job-1/heartbeat", "/jobs/job-2/heartbeat"}
