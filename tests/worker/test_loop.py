"""A worker claims job after job, waits when there is none, and outlives whatever goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from jobqueue.client.claims import Claims
from jobqueue.worker.loop import LONGEST_IDLE_SECONDS, LONGEST_OUTAGE_SECONDS, Loop
from jobqueue.worker.run import Runner
from jobqueue.worker.shutdown import Shutdown
from jobqueue.worker.slot import Slot
from tests.client.fake_server import Reply
from tests.servers import wait_until
from tests.worker.fake_api import AWAY, REFUSED, FakeApi
from tests.worker.programs import PYTHON, SHELL


@pytest.fixture
def shutdown() -> Shutdown:
    return Shutdown()


@pytest.fixture
def loop(connect: Callable[[], Claims], slot: Slot, shutdown: Shutdown, temporary: Path) -> Loop:
    return Loop(connect(), Runner(connect, slot, shutdown, {}), shutdown)


@contextmanager
def running(loop: Loop, shutdown: Shutdown) -> Iterator[threading.Thread]:
    """The loop, in a thread; it is asked to stop at the end, and has to."""
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    yield thread
    shutdown.request()
    thread.join(10)
    assert not thread.is_alive()


def test_jobs_are_run_in_the_order_they_are_handed_out(api: FakeApi, loop: Loop, shutdown: Shutdown) -> None:
    for number in range(5):
        api.offer(SHELL + f"echo {number}")
    with running(loop, shutdown):
        wait_until("all are reported", lambda: len(api.reports()) == 5)
    assert [body["stdout"] for _, body in api.reports()] == ["0\n", "1\n", "2\n", "3\n", "4\n"]


def test_after_a_job_the_next_is_claimed_at_once(api: FakeApi, loop: Loop) -> None:
    api.offer(SHELL)
    assert loop.turn() == 0


def test_without_jobs_it_waits_longer_and_longer_but_never_long(api: FakeApi, loop: Loop) -> None:
    assert loop.turn() <= 0.25
    assert max(loop.turn() for _ in range(30)) <= LONGEST_IDLE_SECONDS
    assert max(loop.turn() for _ in range(30)) > 0.25


def test_a_job_makes_it_eager_again(api: FakeApi, loop: Loop) -> None:
    for _ in range(10):
        loop.turn()
    api.offer(SHELL)
    loop.turn()
    assert loop.turn() <= 0.25


@pytest.mark.parametrize("reply", [AWAY, REFUSED, Reply(302), Reply(500)])
def test_an_outage_is_waited_out_and_logged_at_its_start_and_its_end(api: FakeApi, loop: Loop, reply: Reply) -> None:
    with capture_logs() as logs:
        loop.turn()
        api.answers["claim"] = lambda _: reply
        waits = [loop.turn() for _ in range(10)]
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


def test_an_attempt_that_could_not_be_made_is_told_and_the_next_is_made(api: FakeApi, loop: Loop) -> None:
    api.offer(SHELL + "kill -9 $PPID; exec sleep 60")
    api.offer(SHELL + "echo next")
    with capture_logs() as logs:
        assert loop.turn() <= 0.25
        loop.turn()
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["attempt_abandoned"]
    assert [body["stdout"] for _, body in api.reports()] == ["next\n"]


def test_a_worker_whose_every_attempt_fails_takes_its_time(api: FakeApi, loop: Loop) -> None:
    """So that one bad machine does not eat all jobs."""
    for _ in range(8):
        api.offer(SHELL + "kill -9 $PPID; exec sleep 60")
    waits = [loop.turn() for _ in range(8)]
    assert max(waits) > 0.25
    assert max(waits) <= LONGEST_OUTAGE_SECONDS


def test_asked_to_stop_before_it_starts_it_claims_nothing(api: FakeApi, loop: Loop, shutdown: Shutdown) -> None:
    shutdown.request()
    loop.run()
    assert api.server.requests == []


def test_asked_to_stop_it_finishes_its_job_and_claims_no_other(api: FakeApi, loop: Loop, shutdown: Shutdown) -> None:
    api.offer(SHELL + "sleep 0.3; echo finished")
    api.offer(SHELL)
    with running(loop, shutdown):
        wait_until("the job is fetched", lambda: bool(api.seen("program")))
        shutdown.request()
    assert [body["stdout"] for _, body in api.reports()] == ["finished\n"]
    assert len(api.seen("claim")) == 1


def test_it_waits_for_the_next_claim_but_not_when_asked_to_stop(loop: Loop, shutdown: Shutdown) -> None:
    turns: list[float] = []

    def turn() -> float:
        turns.append(time.monotonic())
        return 600

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "turn", turn)
        with running(loop, shutdown):
            wait_until("it has claimed", lambda: bool(turns))
    assert len(turns) == 1


def test_a_page_of_something_else_is_an_outage(api: FakeApi, loop: Loop) -> None:
    api.answers["claim"] = lambda _: Reply(200, b"<html>sign in</html>")
    with capture_logs() as logs:
        loop.turn()
    assert [log["event"] for log in logs] == ["api_away"]


def test_no_job_ends_the_worker(api: FakeApi, loop: Loop) -> None:
    api.offer(PYTHON + "import os\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')")
    loop.turn()
    assert len(api.reports()) == 1
