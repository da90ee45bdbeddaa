"""A worker claims job after job for its free slots, waits when there is none, and survives whatever goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from structlog.testing import capture_logs

from jobqueue.client.claims import ClaimedJob, Claims
from jobqueue.worker.attempts.attempt import Cause
from jobqueue.worker.attempts.runner import Resources, Runner
from jobqueue.worker.breaker import Breaker
from jobqueue.worker.loop import MAX_IDLE_WAIT_SECONDS, MAX_OUTAGE_WAIT_SECONDS, ClaimPolicy, Loop
from jobqueue.worker.pool import Pool
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
def pool(resources: Resources, slots: list[Slot], breaker: Breaker) -> Iterator[Pool]:
    with closing(Pool(slots, lambda: Runner(resources), breaker)) as pool:
        yield pool


@pytest.fixture
def breaker() -> Breaker:
    return Breaker()


@pytest.fixture
def make_loop(claims: Claims, pool: Pool, shutdown: Shutdown, breaker: Breaker) -> Make:
    """Makes a loop with a policy."""
    return lambda **policy: Loop(claims, pool, shutdown, breaker, ClaimPolicy(**policy))


@pytest.fixture
def loop(make_loop: Make) -> Loop:
    return make_loop()


@contextmanager
def running(loop: Loop, shutdown: Shutdown) -> Iterator[threading.Thread]:
    """The loop, in a thread; it is asked to stop at the end, and must end then."""
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    yield thread
    shutdown.request()
    thread.join(10)
    assert not thread.is_alive()


def reported(api: FakeApi) -> list[str]:
    return [body["stdout"] for _, body in api.reports()]


def test_a_loop_runs_every_job(api: FakeApi, loop: Loop, shutdown: Shutdown) -> None:
    for number in range(7):
        api.offer(SHELL + f"echo {number}")
    with running(loop, shutdown):
        wait_until("all are reported", lambda: len(api.reports()) == 7)
    assert sorted(reported(api)) == [f"{number}\n" for number in range(7)]


def test_as_many_jobs_run_at_once_as_there_are_slots(api: FakeApi, loop: Loop, shutdown: Shutdown, pool: Pool) -> None:
    for _ in range(3):
        api.offer(SHELL + "exec sleep 0.5")
    with running(loop, shutdown):
        wait_until("two are claimed", lambda: len(api.seen("claim")) == 2)
        wait_until("no slot is free", lambda: not pool.wait_for_free(0))
        wait_until("all are reported", lambda: len(api.reports()) == 3)


def test_an_idle_loop_waits_longer_and_longer_but_never_long(api: FakeApi, loop: Loop) -> None:
    assert loop.claim_once()[1] <= 0.25
    assert max(loop.claim_once()[1] for _ in range(30)) <= MAX_IDLE_WAIT_SECONDS
    assert max(loop.claim_once()[1] for _ in range(30)) > 0.25


def test_a_claimed_job_shortens_the_waits_of_a_loop_again(api: FakeApi, loop: Loop) -> None:
    for _ in range(10):
        loop.claim_once()
    api.offer(SHELL)
    job, wait = loop.claim_once()
    assert job is not None
    assert wait == 0
    assert loop.claim_once()[1] <= 0.25


@pytest.mark.parametrize("reply", [AWAY, REFUSED, Reply(302), Reply(500), Reply(200, b"<html>sign in</html>")])
def test_an_outage_is_waited_out_and_logged_at_its_start_and_its_end(api: FakeApi, loop: Loop, reply: Reply) -> None:
    with capture_logs() as logs:
        loop.claim_once()
        api.answers["claim"] = lambda _: reply
        waits = [loop.claim_once()[1] for _ in range(10)]
        del api.answers["claim"]
        loop.claim_once()
        loop.claim_once()
    assert [log["event"] for log in logs] == ["api_away", "api_back"]
    assert max(waits) <= MAX_OUTAGE_WAIT_SECONDS
    assert all(wait <= bound for wait, bound in zip(waits, (0.25, 0.5), strict=False))


def test_a_url_that_is_not_the_apis_is_suspected_in_the_log(api: FakeApi, loop: Loop) -> None:
    api.answers["claim"] = lambda _: Reply(404, b'{"error": "No such path", "context": {}}')
    with capture_logs() as logs:
        loop.claim_once()
    assert [(log["event"], "API_URL" in log["reason"]) for log in logs] == [("api_away", True)]


def test_an_unexpected_error_of_a_claim_is_an_outage_that_is_logged_as_a_bug(
    loop: Loop, claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Claims) -> None:
        raise AttributeError("settimeout")

    with capture_logs() as logs:
        with monkeypatch.context() as patch:
            patch.setattr(Claims, "claim", fail)
            waits = [loop.claim_once()[1] for _ in range(5)]
        assert loop.claim_once()[0] is None
    assert [log["event"] for log in logs] == ["crash", "api_away", "api_back"]
    assert max(waits) <= MAX_OUTAGE_WAIT_SECONDS


def test_a_job_that_waited_for_the_api_is_run(api: FakeApi, loop: Loop, shutdown: Shutdown) -> None:
    api.offer(SHELL)
    api.answers["claim"] = lambda _: AWAY
    with running(loop, shutdown):
        wait_until("the loop has tried", lambda: len(api.seen("claim")) >= 2)
        del api.answers["claim"]
        wait_until("the job is reported", lambda: len(api.reports()) == 1)


def test_an_abandoned_attempt_is_logged_and_the_next_is_made(api: FakeApi, loop: Loop, shutdown: Shutdown) -> None:
    api.offer(SHELL + "kill -9 $PPID; exec sleep 60")
    api.offer(SHELL + "echo next")
    with capture_logs() as logs, running(loop, shutdown):
        wait_until("the next is reported", lambda: bool(api.reports()))
        wait_until("the other is logged", lambda: any(log["event"] == "attempt_abandoned" for log in logs))
    assert reported(api) == ["next\n"]


def test_a_worker_whose_every_attempt_is_a_host_fault_pauses_instead_of_claiming_the_whole_queue(
    api: FakeApi, loop: Loop, shutdown: Shutdown, breaker: Breaker, resources: Resources
) -> None:
    for _ in range(20):
        api.offer(SHELL)
    temporary = resources.workspaces.path.parent
    elsewhere = temporary.rename(temporary.with_name("elsewhere"))
    with capture_logs() as logs, running(loop, shutdown):
        wait_until("the worker pauses", lambda: breaker.seconds_left() > 0)
        wait_until("the pause is logged", lambda: any(log["event"] == "worker_paused" for log in logs))
    elsewhere.rename(temporary)
    assert len(api.seen("claim")) <= 4  # three faults, and what the other slot had begun
    assert {verb for verb, _ in api.reports()} == {"release"}


def test_a_loop_that_is_asked_to_stop_before_it_starts_claims_nothing(
    api: FakeApi, loop: Loop, shutdown: Shutdown
) -> None:
    shutdown.request()
    assert loop.run() is None
    assert api.server.requests == []


def test_a_job_that_is_claimed_while_the_worker_is_asked_to_stop_is_returned_to_the_caller(
    api: FakeApi, loop: Loop, shutdown: Shutdown
) -> None:
    api.offer(SHELL)

    def stop_then_answer(request: Request) -> Reply:
        shutdown.request()
        del api.answers["claim"]
        return api.answer(request)

    api.answers["claim"] = stop_then_answer
    late = loop.run()
    assert isinstance(late, ClaimedJob)
    assert api.seen("program") == []


def test_a_wait_for_the_next_claim_ends_when_the_worker_is_asked_to_stop(loop: Loop, shutdown: Shutdown) -> None:
    claims: list[float] = []

    def claim_once() -> tuple[None, float]:
        claims.append(time.monotonic())
        return None, 600

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "claim_once", claim_once)
        with running(loop, shutdown):
            wait_until("the loop has claimed", lambda: bool(claims))
    assert len(claims) == 1


def test_an_attempt_that_begins_after_the_pool_was_stopped_is_stopped_too(
    api: FakeApi, claims: Claims, pool: Pool
) -> None:
    api.offer(SHELL)
    job = claims.claim()
    assert job is not None
    pool.stop(Cause.SHUTDOWN, 0)
    pool.take(job)
    assert pool.wait_until_idle(20)
    assert [verb for verb, _ in api.reports()] == ["release"]


def test_a_loop_ends_after_max_jobs(api: FakeApi, make_loop: Make, pool: Pool) -> None:
    for number in range(5):
        api.offer(SHELL + f"echo {number}")
    make_loop(max_jobs=3).run()
    assert pool.wait_until_idle(20)
    assert sorted(reported(api)) == ["0\n", "1\n", "2\n"]


def test_a_loop_waits_until_there_are_max_jobs(api: FakeApi, make_loop: Make, pool: Pool, shutdown: Shutdown) -> None:
    with running(make_loop(max_jobs=1), shutdown) as thread:
        wait_until("the loop has found no job", lambda: len(api.seen("claim")) >= 2)
        api.offer(SHELL)
        thread.join(10)
        assert not thread.is_alive()
    assert pool.wait_until_idle(20)
    assert len(api.reports()) == 1


def test_a_loop_until_empty_ends_when_no_job_is_pending(api: FakeApi, make_loop: Make, pool: Pool) -> None:
    for number in range(5):
        api.offer(SHELL + f"echo {number}")
    make_loop(until_empty=True).run()
    assert pool.wait_until_idle(20)
    assert len(api.reports()) == 5


def test_an_api_that_is_away_does_not_count_as_an_empty_queue(
    api: FakeApi, make_loop: Make, pool: Pool, shutdown: Shutdown
) -> None:
    api.answers["claim"] = lambda _: AWAY
    with running(make_loop(until_empty=True), shutdown) as thread:
        wait_until("the loop has tried", lambda: len(api.seen("claim")) >= 2)
        assert thread.is_alive()
        with suppress(KeyError):
            del api.answers["claim"]
        thread.join(10)
        assert not thread.is_alive()


def test_a_job_that_leaves_deep_directories_does_not_end_the_worker(api: FakeApi, make_loop: Make, pool: Pool) -> None:
    api.offer(PYTHON + "import os\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')")
    make_loop(max_jobs=1).run()
    assert pool.wait_until_idle(60)
    assert len(api.reports()) == 1


def test_a_job_that_comes_back_and_a_job_that_never_ran_are_no_evidence_about_the_host(
    slots: list[Slot], resources: Resources, breaker: Breaker, api: FakeApi
) -> None:
    gone, *broken = (api.offer(SHELL) for _ in range(4))
    api.answers["program"] = lambda request: Reply(404) if gone.id in request.path else Reply(403)
    with closing(Pool(slots[:1], lambda: Runner(resources), breaker)) as pool:
        for job in (broken[0], broken[0], broken[0], broken[1], gone, broken[2]):
            assert not breaker.tripped
            pool.take(job)
            assert pool.wait_until_idle(20)
    assert breaker.tripped
    assert not breaker.suspects_host


def test_a_loop_until_empty_does_not_wait_for_the_api_for_ever(api: FakeApi, make_loop: Make) -> None:
    api.answers["claim"] = lambda _: AWAY
    loop = make_loop(until_empty=True, outage_limit_seconds=0.5)
    assert loop.run() is None
    assert loop.gave_up
    assert len(api.seen("claim")) >= 2
