"""A worker claims job after job for its free slots, waits when there is none, and survives whatever goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from jobqueue.client.batches import Batches, ClaimRequest
from jobqueue.worker.attempts.attempt import Cause
from jobqueue.worker.attempts.resources import Resources
from jobqueue.worker.breaker import Breaker
from jobqueue.worker.loop import (
    MAX_IDLE_WAIT_SECONDS,
    MAX_OUTAGE_WAIT_SECONDS,
    MAX_REFUSED_WAIT_SECONDS,
    MIN_WAIT_SECONDS,
    WAIT_SECONDS,
    ClaimPolicy,
    Loop,
)
from jobqueue.worker.pool import Pool
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.slots.slot import Slot
from jobqueue.worker.vacancies import Prefetch, Vacancies
from tests.support.fake_api import AWAY, CANCEL, FORBIDDEN, REFUSED, UNKNOWN_TOKEN, YES, FakeApi
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
def make_loop(connection: Batches, resources: Resources, slots: list[Slot], shutdown: Shutdown) -> Iterator[Make]:
    """Makes a loop with a policy, and a pool for it."""
    with ExitStack() as stack:

        def make_loop(prefetch: int | None = None, **policy: Any) -> Loop:
            rules = ClaimPolicy(**policy)
            vacancies = Vacancies(len(slots), resources.breaker, Prefetch(len(slots), prefetch), rules.max_jobs)
            pool = stack.enter_context(closing(Pool(slots, resources, vacancies)))
            loop = Loop(connection, pool, vacancies, shutdown, rules)
            resources.delivery.claim_along(loop)
            return loop

        yield make_loop


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


def claim(loop: Loop) -> float:
    """Claim one job, without waiting for it; return how long to wait before the next claim."""
    return loop.claim_once(ClaimRequest(1))


def reported(api: FakeApi) -> list[str]:
    return [body["stdout"] for _, body in api.reports()]


def test_a_loop_runs_every_job(api: FakeApi, loop: Loop, shutdown: Shutdown) -> None:
    for number in range(7):
        api.offer(SHELL + f"echo {number}")
    with running(loop, shutdown):
        wait_until("all are reported", lambda: len(api.reports()) == 7)
    assert sorted(reported(api)) == [f"{number}\n" for number in range(7)]


def test_as_many_jobs_run_at_once_as_there_are_slots(api: FakeApi, loop: Loop, shutdown: Shutdown) -> None:
    for _ in range(3):
        api.offer(SHELL + "exec sleep 0.5")
    with running(loop, shutdown):
        wait_until("some are claimed", lambda: api.pending < 3)
        assert api.pending == 1
        wait_until("all are reported", lambda: len(api.reports()) == 3)


def test_an_idle_loop_waits_longer_and_longer_but_never_long(api: FakeApi, loop: Loop) -> None:
    assert claim(loop) <= 0.25
    assert max(claim(loop) for _ in range(30)) <= MAX_IDLE_WAIT_SECONDS
    assert max(claim(loop) for _ in range(30)) > 0.25


def test_a_claimed_job_shortens_the_waits_of_a_loop_again(api: FakeApi, loop: Loop) -> None:
    for _ in range(10):
        claim(loop)
    api.offer(SHELL)
    assert claim(loop) == 0
    assert claim(loop) <= 0.25


@pytest.mark.parametrize("reply", [AWAY, REFUSED, Reply(302), Reply(500), Reply(200, b"<html>sign in</html>")])
def test_an_outage_is_waited_out_and_logged_at_its_start_and_its_end(api: FakeApi, loop: Loop, reply: Reply) -> None:
    with capture_logs() as logs:
        claim(loop)
        api.answers["claim"] = lambda _: reply
        waits = [claim(loop) for _ in range(10)]
        del api.answers["claim"]
        claim(loop)
        claim(loop)
    assert [log["event"] for log in logs] == ["api_away", "api_back"]
    assert max(waits) <= MAX_OUTAGE_WAIT_SECONDS
    assert all(wait <= bound for wait, bound in zip(waits, (0.25, 0.5), strict=False))


@pytest.mark.parametrize("refusal", [UNKNOWN_TOKEN, FORBIDDEN])
def test_a_refused_token_is_waited_out_more_patiently_than_an_outage(
    api: FakeApi, loop: Loop, breaker: Breaker, refusal: Reply
) -> None:
    job = api.offer(SHELL)
    with capture_logs() as logs:
        api.answers["claim"] = lambda _: refusal
        waits = [claim(loop) for _ in range(40)]
        del api.answers["claim"]
        assert claim(loop) == 0
    assert [log["event"] for log in logs if log["event"] != "claim"] == []  # the token logs that by itself
    assert MAX_OUTAGE_WAIT_SECONDS < max(waits) <= MAX_REFUSED_WAIT_SECONDS
    assert all(wait <= bound for wait, bound in zip(waits, (0.25, 0.5, 1, 2), strict=False))
    assert not breaker.tripped
    wait_until("the job is run", lambda: bool(api.reports()))
    assert api.reports()[0][1]["attempt_token"] == job.attempt_token


def test_a_worker_that_is_sent_away_comes_back_when_it_may_and_says_so_once(
    api: FakeApi, loop: Loop, shutdown: Shutdown
) -> None:
    api.answers["claim"] = lambda _: replace(AWAY, status=429, headers={"Retry-After": "3600"})
    with capture_logs() as logs, running(loop, shutdown):
        wait_until("a claim", lambda: len(api.seen("claim")) > 0)
        time.sleep(3 * MIN_WAIT_SECONDS)  # it would claim again meanwhile
        assert len(api.seen("claim")) == 1
    assert [log["event"] for log in logs if "429" in log.get("reason", "")] == ["api_away", "claim_unanswered"]


def test_a_url_that_is_not_the_apis_is_suspected_in_the_log(api: FakeApi, loop: Loop) -> None:
    api.answers["claim"] = lambda _: Reply(404, b'{"error": "No such path", "context": {}}')
    with capture_logs() as logs:
        claim(loop)
    assert [(log["event"], "API_URL" in log["reason"]) for log in logs] == [("api_away", True)]


def test_an_unexpected_error_of_a_claim_is_an_outage_that_is_logged_as_a_bug(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AttributeError("settimeout")

    with capture_logs() as logs:
        with monkeypatch.context() as patch:
            patch.setattr(Batches, "claim", fail)
            waits = [claim(loop) for _ in range(5)]
        assert claim(loop) > 0
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
    assert api.pending >= 16  # three faults, and what the other slot had begun
    assert {verb for verb, _ in api.reports()} == {"release"}


def test_a_loop_that_is_asked_to_stop_before_it_starts_claims_nothing(
    api: FakeApi, loop: Loop, shutdown: Shutdown
) -> None:
    shutdown.request()
    loop.run()
    assert api.server.requests == []


def test_a_job_that_is_claimed_while_the_worker_is_asked_to_stop_is_released(
    api: FakeApi, loop: Loop, shutdown: Shutdown
) -> None:
    api.offer(SHELL)

    def stop_then_answer(request: Request) -> Reply:
        shutdown.request()
        del api.answers["claim"]
        return api.answer(request)

    api.answers["claim"] = stop_then_answer
    loop.run()
    wait_until("the job is released", lambda: bool(api.reports()))
    assert api.only_report()[0] == "release"
    assert api.seen("program") == []


def test_a_wait_for_the_next_claim_ends_when_the_worker_is_asked_to_stop(loop: Loop, shutdown: Shutdown) -> None:
    claims: list[float] = []

    def claim_once(_: ClaimRequest) -> float:
        claims.append(time.monotonic())
        return 600

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "claim_once", claim_once)
        with running(loop, shutdown):
            wait_until("the loop has claimed", lambda: bool(claims))
    assert len(claims) == 1


def test_an_attempt_that_begins_after_the_pool_was_stopped_is_stopped_too(
    api: FakeApi, connection: Batches, slots: list[Slot], resources: Resources
) -> None:
    api.offer(SHELL)
    pool = Pool(slots, resources, Vacancies(2, resources.breaker, Prefetch(2)))
    pool.stop(Cause.SHUTDOWN, 0)
    pool.take(connection.claim(ClaimRequest(1)))
    assert pool.wait_until_idle(20)
    wait_until("it is reported", lambda: bool(api.reports()))
    assert [verb for verb, _ in api.reports()] == ["release"]


def test_reports_may_gather_while_a_job_waits(
    api: FakeApi, slots: list[Slot], resources: Resources, tmp_path: Path
) -> None:
    begun = [tmp_path / str(number) for number in range(len(slots))]
    pool = Pool(slots, resources, Vacancies(2, resources.breaker, Prefetch(2)))
    with closing(pool):
        pool.take([api.offer(SHELL + f"touch {path}; sleep 60") for path in begun])
        wait_until("both run", lambda: all(path.exists() for path in begun))
        assert not pool.is_supplied
        pool.take([api.offer(SHELL)])
        assert pool.is_supplied
        pool.drain()
        assert not pool.is_supplied
        pool.stop(Cause.SHUTDOWN, 0)
        assert pool.wait_until_idle(20)


def test_a_loop_ends_after_max_jobs(api: FakeApi, make_loop: Make) -> None:
    for number in range(5):
        api.offer(SHELL + f"echo {number}")
    make_loop(max_jobs=3).run()
    wait_until("three are reported", lambda: len(api.reports()) == 3)
    assert api.pending == 2
    assert sorted(reported(api)) == ["0\n", "1\n", "2\n"]


def test_a_loop_waits_until_there_are_max_jobs(api: FakeApi, make_loop: Make, shutdown: Shutdown) -> None:
    with running(make_loop(max_jobs=1), shutdown) as thread:
        wait_until("the loop waits for a job", lambda: len(api.seen("claim")) == 1)
        api.offer(SHELL)
        thread.join(10)
        assert not thread.is_alive()
    wait_until("it is reported", lambda: len(api.reports()) == 1)


def test_a_loop_until_empty_ends_when_no_job_is_pending(api: FakeApi, make_loop: Make) -> None:
    for number in range(5):
        api.offer(SHELL + f"echo {number}")
    make_loop(until_empty=True).run()
    wait_until("all are reported", lambda: len(api.reports()) == 5)


def test_an_api_that_is_away_does_not_count_as_an_empty_queue(
    api: FakeApi, make_loop: Make, shutdown: Shutdown
) -> None:
    api.answers["claim"] = lambda _: AWAY
    with running(make_loop(until_empty=True), shutdown) as thread:
        wait_until("the loop has tried", lambda: len(api.seen("claim")) >= 2)
        assert thread.is_alive()
        with suppress(KeyError):
            del api.answers["claim"]
        thread.join(10)
        assert not thread.is_alive()


def test_a_job_that_leaves_deep_directories_does_not_end_the_worker(api: FakeApi, make_loop: Make) -> None:
    api.offer(PYTHON + "import os\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')")
    make_loop(max_jobs=1).run()
    wait_until("it is reported", lambda: len(api.reports()) == 1)


def test_a_job_that_comes_back_and_a_job_that_never_ran_are_no_evidence_about_the_host(
    slots: list[Slot], resources: Resources, breaker: Breaker, api: FakeApi
) -> None:
    gone, *broken = (api.offer(SHELL) for _ in range(4))
    api.answers["program"] = lambda request: Reply(404) if gone.id in request.path else Reply(403)
    vacancies = Vacancies(1, breaker, Prefetch(1))
    with closing(Pool(slots[:1], resources, vacancies)) as pool:
        for job in (broken[0], broken[0], broken[0], broken[1], gone, broken[2]):
            assert not breaker.tripped
            pool.take([job])
            assert pool.wait_until_idle(20)
    assert breaker.tripped
    assert not breaker.suspects_host


def test_a_loop_until_empty_does_not_wait_for_the_api_for_ever(api: FakeApi, make_loop: Make) -> None:
    api.answers["claim"] = lambda _: AWAY
    loop = make_loop(until_empty=True, outage_limit_seconds=0.5)
    loop.run()
    assert loop.gave_up
    assert len(api.seen("claim")) >= 2


def claims_of(api: FakeApi) -> list[dict[str, Any]]:
    return [request.json for request in api.seen("claim")]


def test_an_idle_worker_waits_in_one_claim_for_all_its_slots(api: FakeApi, loop: Loop, shutdown: Shutdown) -> None:
    with running(loop, shutdown):
        wait_until("the loop waits", lambda: len(api.seen("claim")) == 1)
        api.offer(SHELL)
        wait_until("the job is reported", lambda: bool(api.reports()))
    first, *_ = claims_of(api)
    assert (first["max_jobs"], first["wait_seconds"]) == (2, WAIT_SECONDS)


def test_a_claim_whose_answer_is_lost_is_repeated_until_it_is_answered(
    api: FakeApi, loop: Loop, shutdown: Shutdown
) -> None:
    """So the job is run in its first attempt, and no second one is claimed in its place."""
    api.offer(SHELL)
    lost = iter([True, True])

    def lose_first(request: Request) -> Reply:
        reply = api.answer(request)
        return AWAY if request.path == "/jobs/claim" and next(lost, False) else reply

    api.server.answer = lose_first
    with running(loop, shutdown):
        wait_until("the job is reported", lambda: bool(api.reports()))
    assert api.only_report()[0] == "complete"
    assert len({claim["claim_id"] for claim in claims_of(api)[:3]}) == 1


def test_a_job_that_a_withdrawn_claim_has_brought_is_released(api: FakeApi, loop: Loop, shutdown: Shutdown) -> None:
    """The API has handed it out when the worker no longer reads."""
    waits = threading.Event()

    def hold(request: Request) -> Reply:
        del api.answers["claim"]
        reply = api.answer(request)
        waits.set()
        api.server.closed.wait(2)
        return reply

    api.offer(SHELL)
    api.answers["claim"] = hold
    with running(loop, shutdown):
        assert waits.wait(20)
    wait_until("the job is released", lambda: bool(api.reports()))
    assert (api.only_report()[0], api.only_report()[1]["reason"]) == ("release", "worker_shutdown")


def test_short_jobs_are_claimed_ahead_along_with_reports(api: FakeApi, make_loop: Make, shutdown: Shutdown) -> None:
    for _ in range(40):
        api.offer(SHELL)
    with running(make_loop(), shutdown):
        wait_until("all are reported", lambda: len(api.reports()) == 40)
    assert max(claim["max_jobs"] for claim in claims_of(api)) > 2
    assert len([request for request in api.server.requests if request.path == "/jobs/claim"]) < 10


def test_a_job_that_was_claimed_ahead_is_released_when_no_slot_becomes_free(
    api: FakeApi, make_loop: Make, shutdown: Shutdown
) -> None:
    api.offer(SHELL)
    for _ in range(2):
        api.offer(SHELL + "exec sleep 20")
    ahead = api.offer(SHELL)
    with running(make_loop(prefetch=4), shutdown):
        wait_until("a job is released", lambda: bool(api.seen("release")))
    assert api.seen("release")[0].path == f"/jobs/{ahead.id}/release"


def test_jobs_that_were_claimed_ahead_are_released_when_the_worker_drains(
    api: FakeApi, make_loop: Make, shutdown: Shutdown, tmp_path: Path
) -> None:
    wait = SHELL + 'touch "$1"; while [ ! -e "$2" ]; do sleep 0.02; done'
    running_jobs = [api.offer(wait, tmp_path / f"begun-{number}", tmp_path / "go") for number in (1, 2)]
    ahead = api.offer(SHELL)
    loop = make_loop(prefetch=1)
    loop.claim_once(ClaimRequest(3))
    wait_until("both run", lambda: all((tmp_path / f"begun-{number}").exists() for number in (1, 2)))
    shutdown.request()
    loop.run()
    wait_until("a job is released", lambda: bool(api.seen("release")))
    assert [request.path for request in api.seen("release")] == [f"/jobs/{ahead.id}/release"]
    (tmp_path / "go").touch()
    wait_until("the others have ended", lambda: len(api.seen("complete")) == len(running_jobs))


def test_a_job_that_waits_for_a_slot_is_named_in_heartbeats_and_can_be_cancelled(
    api: FakeApi, make_loop: Make, tmp_path: Path
) -> None:
    wait = SHELL + 'while [ ! -e "$1" ]; do sleep 0.02; done'
    for _ in range(2):
        api.offer(wait, tmp_path / "go", lease_ms=1500)
    ahead = api.offer(SHELL, lease_ms=1500)
    api.answers["heartbeat"] = lambda request: CANCEL if ahead.id in request.path else YES
    make_loop(prefetch=1).claim_once(ClaimRequest(3))
    wait_until("all are named", lambda: len({request.path for request in api.seen("heartbeat")}) == 3)
    (tmp_path / "go").touch()
    wait_until("all are reported", lambda: len(api.reports()) == 3)
    assert [request.path for request in api.seen("fail")] == [f"/jobs/{ahead.id}/fail"]
    assert api.seen("fail")[0].json["reason"] == "cancelled"


def test_a_worker_that_was_asked_to_stop_claims_nothing_along_with_reports(loop: Loop, shutdown: Shutdown) -> None:
    request = loop.ask(0)
    assert request is not None
    loop.refused(request)  # so that there are places again
    shutdown.request()
    assert loop.ask(0) is None
