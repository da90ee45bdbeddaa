"""A worker claims job after job for its free slots, waits when there is none, and outlives whatever goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from structlog.testing import capture_logs

from jobqueue.client.claims import ClaimedJob, Claims
from jobqueue.worker.attempts.runner import Means, Runner
from jobqueue.worker.breaker import Breaker
from jobqueue.worker.loop import LONGEST_IDLE_SECONDS, LONGEST_OUTAGE_SECONDS, Limits, Loop
from jobqueue.worker.pool import Lanes
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.slots.slot import Slot
from tests.support.fake_api import AWAY, REFUSED, FakeApi
from tests.support.fake_server import Reply, Request
from tests.support.programs import PYTHON, SHELL
from tests.support.slots import open_slot
from tests.support.waiting import wait_until

Make = Callable[..., Loop]


@pytest.fixture
def slots(slot: Slot) -> Iterator[list[Slot]]:
    with closing(open_slot()) as other:
        yield [slot, other]


@pytest.fixture
def lanes(means: Means, slots: list[Slot], breaker: Breaker) -> Iterator[Lanes]:
    with closing(Lanes(slots, lambda: Runner(means), breaker.note)) as lanes:
        yield lanes


@pytest.fixture
def breaker() -> Breaker:
    return Breaker()


@pytest.fixture
def make_loop(claims: Claims, lanes: Lanes, shutdown: Shutdown, breaker: Breaker) -> Make:
    """Makes a loop with limits."""
    return lambda **limits: Loop(claims, lanes, shutdown, breaker, Limits(**limits))


@pytest.fixture
def loop(make_loop: Make) -> Loop:
    return make_loop()


@contextmanager
def running(loop: Loop, shutdown: Shutdown) -> Iterator[threading.Thread]:
    """The loop, in a thread; it is asked to stop at the end, and has to."""
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    yield thread
    shutdown.request()
    thread.join(10)
    assert not thread.is_alive()


def reported(api: FakeApi) -> list[str]:
    return [body["stdout"] for _, body in api.reports()]


def test_every_job_is_run(api: FakeApi, loop: Loop, shutdown: Shutdown) -> None:
    for number in range(7):
        api.offer(SHELL + f"echo {number}")
    with running(loop, shutdown):
        wait_until("all are reported", lambda: len(api.reports()) == 7)
    assert sorted(reported(api)) == [f"{number}\n" for number in range(7)]


def test_as_many_run_at_once_as_there_are_slots(api: FakeApi, loop: Loop, shutdown: Shutdown, lanes: Lanes) -> None:
    for _ in range(3):
        api.offer(SHELL + "exec sleep 0.5")
    with running(loop, shutdown):
        wait_until("two are claimed", lambda: len(api.seen("claim")) == 2)
        wait_until("no lane is free", lambda: not lanes.wait_for_a_free_one(0))
        wait_until("all are reported", lambda: len(api.reports()) == 3)


def test_without_jobs_it_waits_longer_and_longer_but_never_long(api: FakeApi, loop: Loop) -> None:
    assert loop.turn()[1] <= 0.25
    assert max(loop.turn()[1] for _ in range(30)) <= LONGEST_IDLE_SECONDS
    assert max(loop.turn()[1] for _ in range(30)) > 0.25


def test_a_job_makes_it_eager_again(api: FakeApi, loop: Loop) -> None:
    for _ in range(10):
        loop.turn()
    api.offer(SHELL)
    job, wait = loop.turn()
    assert job is not None
    assert wait == 0
    assert loop.turn()[1] <= 0.25


@pytest.mark.parametrize("reply", [AWAY, REFUSED, Reply(302), Reply(500), Reply(200, b"<html>sign in</html>")])
def test_an_outage_is_waited_out_and_logged_at_its_start_and_its_end(api: FakeApi, loop: Loop, reply: Reply) -> None:
    with capture_logs() as logs:
        loop.turn()
        api.answers["claim"] = lambda _: reply
        waits = [loop.turn()[1] for _ in range(10)]
        del api.answers["claim"]
        loop.turn()
        loop.turn()
    assert [log["event"] for log in logs] == ["api_away", "api_back"]
    assert max(waits) <= LONGEST_OUTAGE_SECONDS
    assert all(wait <= bound for wait, bound in zip(waits, (0.25, 0.5, 1, 2, 4), strict=False))


def test_a_job_that_waited_for_the_api_is_run(api: FakeApi, loop: Loop, shutdown: Shutdown) -> None:
    api.offer(SHELL)
    api.answers["claim"] = lambda _: AWAY
    with running(loop, shutdown):
        wait_until("it has tried", lambda: len(api.seen("claim")) >= 2)
        del api.answers["claim"]
        wait_until("the job is reported", lambda: len(api.reports()) == 1)


def test_an_attempt_that_could_not_be_made_is_told_and_the_next_is_made(
    api: FakeApi, loop: Loop, shutdown: Shutdown
) -> None:
    api.offer(SHELL + "kill -9 $PPID; exec sleep 60")
    api.offer(SHELL + "echo next")
    with capture_logs() as logs, running(loop, shutdown):
        wait_until("the next is reported", lambda: bool(api.reports()))
        wait_until("the other is told", lambda: any(log["event"] == "attempt_abandoned" for log in logs))
    assert reported(api) == ["next\n"]


def test_a_worker_whose_every_attempt_fails_pauses_instead_of_eating_the_queue(
    api: FakeApi, loop: Loop, shutdown: Shutdown, breaker: Breaker, means: Means
) -> None:
    for _ in range(20):
        api.offer(SHELL)
    temporary = means.workspaces.path.parent
    elsewhere = temporary.rename(temporary.with_name("elsewhere"))
    with capture_logs() as logs, running(loop, shutdown):
        wait_until("it pauses", lambda: breaker.seconds_left() > 0)
        wait_until("it says so", lambda: any(log["event"] == "worker_paused" for log in logs))
    elsewhere.rename(temporary)
    assert len(api.seen("claim")) <= 4  # three faults, and what the other slot had begun
    assert {verb for verb, _ in api.reports()} == {"release"}


def test_asked_to_stop_before_it_starts_it_claims_nothing(api: FakeApi, loop: Loop, shutdown: Shutdown) -> None:
    shutdown.request()
    assert loop.run() is None
    assert api.server.requests == []


def test_a_job_that_is_claimed_while_it_is_asked_to_stop_is_handed_back(
    api: FakeApi, loop: Loop, shutdown: Shutdown
) -> None:
    api.offer(SHELL)

    def stop_then_answer(request: Request) -> Reply:
        shutdown.request()
        del api.answers["claim"]
        return api._answer(request)

    api.answers["claim"] = stop_then_answer
    late = loop.run()
    assert isinstance(late, ClaimedJob)
    assert api.seen("program") == []


def test_it_waits_for_the_next_claim_but_not_when_asked_to_stop(loop: Loop, shutdown: Shutdown) -> None:
    turns: list[float] = []

    def turn() -> tuple[None, float]:
        turns.append(time.monotonic())
        return None, 600

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "turn", turn)
        with running(loop, shutdown):
            wait_until("it has claimed", lambda: bool(turns))
    assert len(turns) == 1


def test_it_ends_after_so_many_jobs(api: FakeApi, make_loop: Make, lanes: Lanes) -> None:
    for number in range(5):
        api.offer(SHELL + f"echo {number}")
    make_loop(jobs=3).run()
    assert lanes.wait_for_all(20)
    assert sorted(reported(api)) == ["0\n", "1\n", "2\n"]


def test_it_waits_for_as_many_jobs_as_it_was_asked_to_run(
    api: FakeApi, make_loop: Make, lanes: Lanes, shutdown: Shutdown
) -> None:
    with running(make_loop(jobs=1), shutdown) as thread:
        wait_until("it has found none", lambda: len(api.seen("claim")) >= 2)
        api.offer(SHELL)
        thread.join(10)
        assert not thread.is_alive()
    assert lanes.wait_for_all(20)
    assert len(api.reports()) == 1


def test_it_ends_when_the_queue_is_empty(api: FakeApi, make_loop: Make, lanes: Lanes) -> None:
    for number in range(5):
        api.offer(SHELL + f"echo {number}")
    make_loop(until_empty=True).run()
    assert lanes.wait_for_all(20)
    assert len(api.reports()) == 5


def test_an_api_that_is_away_is_no_empty_queue(api: FakeApi, make_loop: Make, lanes: Lanes, shutdown: Shutdown) -> None:
    api.answers["claim"] = lambda _: AWAY
    with running(make_loop(until_empty=True), shutdown) as thread:
        wait_until("it has tried", lambda: len(api.seen("claim")) >= 2)
        assert thread.is_alive()
        with suppress(KeyError):
            del api.answers["claim"]
        thread.join(10)
        assert not thread.is_alive()


def test_no_job_ends_the_worker(api: FakeApi, make_loop: Make, lanes: Lanes) -> None:
    api.offer(PYTHON + "import os\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')")
    make_loop(jobs=1).run()
    assert lanes.wait_for_all(60)
    assert len(api.reports()) == 1


def test_jobs_that_are_set_aside_do_not_hide_that_the_worker_is_at_fault(
    slots: list[Slot], means: Means, breaker: Breaker, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk no job can be run, and each second try of one is set aside."""
    first, second, third = (api.offer(SHELL) for _ in range(3))
    monkeypatch.setattr(means.programs, "fetch", lambda *_: 1 / 0)
    with closing(Lanes(slots[:1], lambda: Runner(means), breaker.note)) as lanes:
        for job in (first, first, second, second, third):
            assert not breaker.tripped
            lanes.take(job)
            assert lanes.wait_for_all(20)
    means.set_aside.close()
    assert breaker.tripped


def test_who_is_to_end_when_there_is_no_job_does_not_wait_for_the_api_for_ever(
    api: FakeApi, make_loop: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobqueue.worker.loop.BURST_PATIENCE_SECONDS", 0.5)
    api.answers["claim"] = lambda _: AWAY
    loop = make_loop(until_empty=True)
    assert loop.run() is None
    assert loop.gave_up
    assert len(api.seen("claim")) >= 2
