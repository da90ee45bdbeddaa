"""A lease is kept alive while anybody answers, and given up before anybody else may have the job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from jobqueue.client.claims import ClaimedJob, Claims
from jobqueue.worker.heartbeat import Heartbeat
from tests.client.fake_server import Reply, Request, in_json
from tests.servers import wait_until
from tests.worker.fake_api import AWAY, REFUSED, FakeApi

SAFE_PART = 0.8


class Calls:
    """Counts, and knows when it was first called (monotonic)."""

    def __init__(self) -> None:
        self.count = 0
        self.at = 0.0

    def __call__(self) -> None:
        self.at = self.at or time.monotonic()
        self.count += 1


@pytest.fixture
def on_lost() -> Calls:
    return Calls()


@pytest.fixture
def beating(claims: Claims, on_lost: Calls) -> Callable[[int], Heartbeat]:
    """Makes the heartbeat of a job whose lease has that many milliseconds."""

    def beating(lease_ms: int) -> Heartbeat:
        job = ClaimedJob("job-1", "http://host/program", "ab" * 32, [], {}, "token-1", lease_ms)
        return Heartbeat(claims, job, on_lost)

    return beating


def replies(*first: Reply, then: Reply) -> Callable[[Request], Reply]:
    """Answer with each of the first, then always the same."""

    def endless() -> Iterator[Reply]:
        yield from first
        while True:
            yield then

    answers = endless()
    return lambda _: next(answers)


YES = in_json({"status": "running"})


def test_it_beats_three_times_a_lease_in_the_name_of_the_attempt(
    api: FakeApi, beating: Callable[[int], Heartbeat]
) -> None:
    with beating(1500):
        wait_until("some beats", lambda: len(api.seen("heartbeat")) >= 5)
    pauses = sorted(later.at - earlier.at for earlier, later in pairwise(api.seen("heartbeat")))
    assert 0.44 < pauses[len(pauses) // 2] < 0.9
    assert pauses[-1] - pauses[0] > 0.001  # not in step with the beats of others
    assert api.seen("heartbeat")[0].json == {"executor_id": "executor-1", "attempt_token": "token-1"}


def test_a_lease_is_lost_when_the_api_says_so(
    api: FakeApi, beating: Callable[[int], Heartbeat], on_lost: Calls
) -> None:
    api.answers["heartbeat"] = replies(YES, then=REFUSED)
    with beating(300) as heartbeat:
        assert heartbeat.lost.wait(10)
        wait_until("it is told", lambda: on_lost.count > 0)
    assert on_lost.count == 1
    assert len(api.seen("heartbeat")) == 2


def test_the_loss_can_be_seen_before_anybody_is_told(api: FakeApi, claims: Claims) -> None:
    """So that what is told to stop cannot begin anew."""
    seen: list[bool] = []
    heartbeat: Heartbeat
    job = ClaimedJob("job-1", "", "", [], {}, "token-1", 300)
    heartbeat = Heartbeat(claims, job, lambda: seen.append(heartbeat.lost.is_set()))
    api.answers["heartbeat"] = lambda _: REFUSED
    with heartbeat:
        wait_until("it is told", lambda: bool(seen))
    assert seen == [True]


@pytest.mark.parametrize("reply", [AWAY, in_json({"error": "no", "context": {}}, 400), Reply(302), Reply(429)])
def test_without_a_clear_answer_it_goes_on_trying_and_is_lost_at_the_end_of_the_safe_part(
    api: FakeApi, beating: Callable[[int], Heartbeat], on_lost: Calls, reply: Reply
) -> None:
    api.answers["heartbeat"] = lambda _: reply
    begun = time.monotonic()
    with beating(1500) as heartbeat:
        assert heartbeat.lost.wait(10)
    assert SAFE_PART * 1.5 <= on_lost.at - begun < 1.5
    assert on_lost.count == 1
    assert len(api.seen("heartbeat")) >= 4


def test_an_api_that_hangs_does_not_make_a_lease_longer(
    api: FakeApi, beating: Callable[[int], Heartbeat], on_lost: Calls
) -> None:
    api.answers["heartbeat"] = lambda _: api.server.hang()
    begun = time.monotonic()
    with beating(1500) as heartbeat:
        assert heartbeat.lost.wait(10)
    assert SAFE_PART * 1.5 <= on_lost.at - begun < 1.5


def test_an_api_that_is_down_does_not_make_a_lease_longer(
    api: FakeApi, beating: Callable[[int], Heartbeat], on_lost: Calls
) -> None:
    api.server.close()
    begun = time.monotonic()
    with beating(1500) as heartbeat:
        assert heartbeat.lost.wait(10)
    assert SAFE_PART * 1.5 <= on_lost.at - begun < 1.5


def test_an_api_that_drips_does_not_make_a_lease_longer(
    api: FakeApi, beating: Callable[[int], Heartbeat], on_lost: Calls
) -> None:
    api.answers["heartbeat"] = lambda _: Reply(pieces=api.server.drip(100, 0.02), length=100)
    begun = time.monotonic()
    with beating(900) as heartbeat:
        assert heartbeat.lost.wait(10)
    assert on_lost.at - begun < 0.9


def test_a_short_outage_costs_nothing(api: FakeApi, beating: Callable[[int], Heartbeat], on_lost: Calls) -> None:
    api.answers["heartbeat"] = replies(AWAY, AWAY, AWAY, then=YES)
    with beating(1500) as heartbeat:
        wait_until("beats are answered again", lambda: len(api.seen("heartbeat")) >= 6)
        assert not heartbeat.lost.is_set()
    assert on_lost.count == 0


def test_a_lease_counts_from_when_the_last_good_beat_was_sent(
    api: FakeApi, beating: Callable[[int], Heartbeat], on_lost: Calls
) -> None:
    """Not from when its answer came: the API may have renewed the lease just before."""
    slow, answers = threading.Event(), replies(YES, then=AWAY)

    def answer(request: Request) -> Reply:
        if len(api.seen("heartbeat")) == 1:
            slow.wait(0.4)
        return answers(request)

    api.answers["heartbeat"] = answer
    with beating(1500) as heartbeat:
        assert heartbeat.lost.wait(10)
    sent = api.seen("heartbeat")[0].at
    assert SAFE_PART * 1.5 - 0.1 < on_lost.at - sent < 1.5


def test_it_stops_beating_when_it_is_left(api: FakeApi, beating: Callable[[int], Heartbeat], on_lost: Calls) -> None:
    with beating(60_000):
        pass
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())
    assert api.seen("heartbeat") == []
    assert on_lost.count == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_answer_that_nobody_can_read_is_at_worst_a_lost_lease(
    api: FakeApi, beating: Callable[[int], Heartbeat], on_lost: Calls
) -> None:
    api.answers["heartbeat"] = lambda _: Reply(400, b"[" * 200_000)
    with beating(600) as heartbeat:
        assert heartbeat.lost.wait(2)
