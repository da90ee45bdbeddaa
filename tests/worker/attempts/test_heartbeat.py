"""A lease is kept alive while anybody answers, and given up before anybody else may have the job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain, cycle, pairwise, repeat

import pytest

from jobqueue.client.claims import ClaimedJob, Claims
from jobqueue.worker.attempts.attempt import Attempt, Cause
from jobqueue.worker.attempts.heartbeat import Heartbeat, StopPolicy
from jobqueue.worker.slots.slot import Slot
from tests.support.fake_api import AWAY, CANCEL, REFUSED, YES, FakeApi
from tests.support.fake_server import Reply, Request, in_json
from tests.support.waiting import wait_until

SAFE_PART = 0.8
UNCLEAR = [AWAY, in_json({"error": "no", "context": {}}, 400), Reply(302), Reply(429)]

Beating = Callable[..., AbstractContextManager[Attempt]]


@pytest.fixture
def beating(connect: Callable[[], Claims], slot: Slot) -> Beating:
    """Beats for an attempt whose lease has that many milliseconds."""

    @contextmanager
    def beating(lease_ms: int, finish: bool = False) -> Iterator[Attempt]:
        job = ClaimedJob("job-1", "http://host/program", "ab" * 32, [], {}, "token-1", lease_ms)
        attempt = Attempt(job, slot)
        heartbeat = Heartbeat(connect(), attempt, StopPolicy(finish, kill_grace_seconds=1))
        heartbeat.start()
        yield attempt
        heartbeat.stop()
        heartbeat._thread.join(10)
        assert not heartbeat._thread.is_alive()

    return beating


def lost_after(attempt: Attempt, begun: float) -> float:
    """Wait for the loss of a lease; return how many seconds after `begun` it came."""
    assert attempt.stopped.wait(10)
    assert attempt.cause is Cause.LEASE_LOST
    return time.monotonic() - begun


def replies(*first: Reply, then: Reply) -> Callable[[Request], Reply]:
    """Answer with each of the first, then always the same."""
    answers = chain(first, repeat(then))
    return lambda _: next(answers)


def test_it_beats_three_times_a_lease_in_the_name_of_the_attempt(api: FakeApi, beating: Beating) -> None:
    with beating(1500):
        wait_until("some beats", lambda: len(api.seen("heartbeat")) >= 5)
    pauses = sorted(later.at - earlier.at for earlier, later in pairwise(api.seen("heartbeat")))
    assert 0.44 < pauses[len(pauses) // 2] < 0.9
    assert pauses[-1] - pauses[0] > 0.001  # not in step with the beats of others
    assert api.seen("heartbeat")[0].json == {"executor_id": "executor-1", "attempt_token": "token-1"}


def test_a_long_lease_is_renewed_every_few_seconds_all_the_same(beating: Beating, api: FakeApi) -> None:
    """So long would a wish to cancel wait to be heard."""
    with beating(600_000):
        wait_until("a beat", lambda: len(api.seen("heartbeat")) >= 1, 10)


def test_a_lease_is_lost_when_the_api_says_so(api: FakeApi, beating: Beating) -> None:
    api.answers["heartbeat"] = replies(YES, then=REFUSED)
    with beating(3000) as attempt:
        assert attempt.stopped.wait(10)
    assert attempt.cause is Cause.LEASE_LOST
    assert len(api.seen("heartbeat")) == 2


def test_without_a_clear_answer_it_goes_on_trying_and_is_lost_at_the_end_of_the_safe_part(
    api: FakeApi, beating: Beating
) -> None:
    answers = cycle(UNCLEAR)
    api.answers["heartbeat"] = lambda _: next(answers)
    begun = time.monotonic()
    with beating(6000) as attempt:
        assert SAFE_PART * 6 - 0.01 <= lost_after(attempt, begun) < 6
    assert len(api.seen("heartbeat")) >= len(UNCLEAR)


def test_an_api_that_hangs_does_not_make_a_lease_longer(api: FakeApi, beating: Beating) -> None:
    api.answers["heartbeat"] = lambda _: api.server.hang()
    begun = time.monotonic()
    with beating(6000) as attempt:
        assert SAFE_PART * 6 - 0.01 <= lost_after(attempt, begun) < 6


def test_an_api_that_is_down_does_not_make_a_lease_longer(api: FakeApi, beating: Beating) -> None:
    api.server.close()
    begun = time.monotonic()
    with beating(6000) as attempt:
        assert SAFE_PART * 6 - 0.01 <= lost_after(attempt, begun) < 6


def test_an_api_that_drips_does_not_make_a_lease_longer(api: FakeApi, beating: Beating) -> None:
    api.answers["heartbeat"] = lambda _: Reply(pieces=api.server.drip(100, 0.02), length=100)
    begun = time.monotonic()
    with beating(6000) as attempt:
        assert lost_after(attempt, begun) < 6


def test_a_short_outage_costs_nothing(api: FakeApi, beating: Beating) -> None:
    api.answers["heartbeat"] = replies(AWAY, AWAY, AWAY, then=YES)
    with beating(4500) as attempt:
        wait_until("beats are answered again", lambda: len(api.seen("heartbeat")) >= 5)
        assert attempt.cause is None


def test_a_lease_counts_from_when_the_last_good_beat_was_sent(api: FakeApi, beating: Beating) -> None:
    """Not from when its answer came: the API may have renewed the lease just before."""
    answers = replies(YES, then=AWAY)

    def answer(request: Request) -> Reply:
        if len(api.seen("heartbeat")) == 1:
            api.server.closed.wait(1.6)  # of the 2.5 s that it may take, and more than what is left of the lease
        return answers(request)

    api.answers["heartbeat"] = answer
    with beating(7500) as attempt:
        assert attempt.stopped.wait(20)
        lost_at = time.monotonic()
    sent = api.seen("heartbeat")[0].at
    assert SAFE_PART * 7.5 - 1 < lost_at - sent < 7.5


def test_to_finish_without_a_lease_nobody_is_stopped_while_the_api_is_away(api: FakeApi, beating: Beating) -> None:
    api.answers["heartbeat"] = lambda _: AWAY
    with beating(300, finish=True) as attempt:
        wait_until("beats beyond the lease", lambda: len(api.seen("heartbeat")) >= 10)
        assert attempt.cause is None
        api.answers["heartbeat"] = lambda _: REFUSED
        assert attempt.stopped.wait(10)
    assert attempt.cause is Cause.LEASE_LOST


def test_a_wish_to_cancel_stops_the_attempt_and_its_lease_is_kept(api: FakeApi, beating: Beating) -> None:
    api.answers["heartbeat"] = replies(YES, then=CANCEL)
    with beating(3000) as attempt:
        assert attempt.stopped.wait(10)
        assert attempt.cause is Cause.CANCELLED
        wait_until("it goes on", lambda: len(api.seen("heartbeat")) >= 3)
    assert attempt.cause is Cause.CANCELLED


def test_new_output_goes_along_soon_and_once(api: FakeApi, beating: Beating) -> None:
    with beating(600_000) as attempt:
        attempt.live.add({"stdout": [0, "one\n"], "stderr": None})
        wait_until("it is told", lambda: bool(outputs_told(api)), 4.5)
        attempt.live.add({"stdout": [4, "two\n"], "stderr": [0, "err"]})
        wait_until("the rest is told", lambda: len(outputs_told(api)) == 2)
    assert outputs_told(api) == [
        {"stdout": {"offset": 0, "data": "one\n"}},
        {"stdout": {"offset": 4, "data": "two\n"}, "stderr": {"offset": 0, "data": "err"}},
    ]


def test_output_that_nobody_answered_for_is_told_again(api: FakeApi, beating: Beating) -> None:
    api.answers["heartbeat"] = replies(AWAY, then=YES)
    with beating(3000) as attempt:
        attempt.live.add({"stdout": [0, "one\n"]})
        wait_until("it is told twice", lambda: len(outputs_told(api)) == 2)
    assert outputs_told(api) == [{"stdout": {"offset": 0, "data": "one\n"}}] * 2


def outputs_told(api: FakeApi) -> list[object]:
    return [request.json["output"] for request in api.seen("heartbeat") if "output" in request.json]


def test_it_stops_beating_when_it_is_told_to(api: FakeApi, beating: Beating) -> None:
    with beating(60_000):
        pass
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())
    assert api.seen("heartbeat") == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_answer_that_nobody_can_read_is_at_worst_a_lost_lease(api: FakeApi, beating: Beating) -> None:
    api.answers["heartbeat"] = lambda _: Reply(400, b"[" * 200_000)
    with beating(600) as attempt:
        assert attempt.stopped.wait(20)
